// The level step on any CPU: the obviously right form that the AES-NI and VAES ones are held equal to, on top
// of the constant-time portable AES.
#include "crypto/aes_kernels.hpp"
#include "crypto/dcf_kernels.hpp"
#include "crypto/little_endian.hpp"

namespace moiety::crypto {
namespace {

// 64 blocks as words, 2i the low and 2i + 1 the high half of block i.
struct Group {
    uint64_t words[128];

    void load(const uint8_t* from) {
        for (int i = 0; i < 128; ++i) words[i] = load64(from + 8 * i);
    }
    void store(uint8_t* to) const {
        for (int i = 0; i < 128; ++i) store64(to + 8 * i, words[i]);
    }
};

// H_{level,j_i} of every block, j_i = j ^ (bit i of flip).
Group expand(const uint8_t* round_keys, const Group& seeds, uint64_t tweak, uint64_t j, uint64_t flip) {
    Group in = seeds, out;
    for (int i = 0; i < 64; ++i) in.words[2 * i] ^= tweak | (j ^ ((flip >> i) & 1));
    uint8_t bytes[1024];
    in.store(bytes);
    aes_portable.encrypt(round_keys, bytes, bytes, 64);
    out.load(bytes);
    for (int i = 0; i < 128; ++i) out.words[i] ^= in.words[i];
    return out;
}

void collect(const uint8_t* round_keys, const Group& seeds, uint64_t tweak, uint64_t* bits) {
    const Group block = expand(round_keys, seeds, tweak, 2, 0);
    for (int c = 0; c < 3; ++c) {
        bits[c] = 0;
        for (int i = 0; i < 64; ++i) bits[c] |= ((block.words[2 * i] >> c) & 1) << i;
    }
}

// a ^= t b, block by block.
void correct(Group& a, uint64_t t, const Group& b) {
    for (int i = 0; i < 64; ++i) {
        const uint64_t mask = uint64_t{0} - ((t >> i) & 1);
        a.words[2 * i] ^= mask & b.words[2 * i];
        a.words[2 * i + 1] ^= mask & b.words[2 * i + 1];
    }
}

void evaluate(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds, const uint64_t* x,
              const uint64_t* t, const uint8_t* corrections, uint64_t* bits) {
    for (int g = 0; g < groups; ++g) {
        Group s, correction;
        s.load(seeds + 1024 * g);
        correction.load(corrections + 1024 * g);
        collect(round_keys, s, tweak, bits + 3 * g);
        Group child = expand(round_keys, s, tweak, 0, x[g]);
        correct(child, t[g], correction);
        child.store(seeds + 1024 * g);
    }
}

void generate(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds0, uint8_t* seeds1,
              const uint64_t* alpha, const uint64_t* t0, const uint64_t* t1, uint8_t* corrections, uint64_t* bits0,
              uint64_t* bits1) {
    for (int g = 0; g < groups; ++g) {
        Group s0, s1;
        s0.load(seeds0 + 1024 * g);
        s1.load(seeds1 + 1024 * g);
        collect(round_keys, s0, tweak, bits0 + 3 * g);
        collect(round_keys, s1, tweak, bits1 + 3 * g);
        Group correction = expand(round_keys, s0, tweak, 1, alpha[g]);
        correct(correction, ~uint64_t{0}, expand(round_keys, s1, tweak, 1, alpha[g]));
        Group keep0 = expand(round_keys, s0, tweak, 0, alpha[g]);
        Group keep1 = expand(round_keys, s1, tweak, 0, alpha[g]);
        correct(keep0, t0[g], correction);
        correct(keep1, t1[g], correction);
        correction.store(corrections + 1024 * g);
        keep0.store(seeds0 + 1024 * g);
        keep1.store(seeds1 + 1024 * g);
    }
}

void last(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds) {
    for (int g = 0; g < groups; ++g) {
        Group s;
        s.load(seeds + 1024 * g);
        expand(round_keys, s, tweak, 3, 0).store(seeds + 1024 * g);
    }
}

}  // namespace

const DcfKernels dcf_portable = {evaluate, generate, last};

}  // namespace moiety::crypto
