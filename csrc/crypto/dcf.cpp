#include "crypto/dcf.hpp"

#include <algorithm>
#include <cstring>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "crypto/aes.hpp"
#include "crypto/bits.hpp"
#include "crypto/dcf_kernels.hpp"
#include "crypto/little_endian.hpp"
#include "crypto/transpose.hpp"

namespace moiety::crypto {
namespace {

// AGREEMENT: part of the layout that both parties and the dealer read. A tile's seeds stay in the first-level
// cache.
constexpr int64_t tile_size = 256;
constexpr int tile_groups = tile_size / 64;
// LOCAL: tiles below which a second thread is not worth waking.
constexpr int64_t tiles_per_thread = 8;

constexpr int max_levels = 63 - 7;
constexpr int max_bit_bytes = (3 * max_levels + 7) / 8;

struct Shape {
    int bits;       // n
    int tail;       // m: bits answered by the last block
    int levels;     // L
    int bit_bytes;  // bytes of T and V an instance
    int64_t bytes;  // of a key's corrections

    explicit Shape(int n) : bits(n), tail(std::min(n, 7)), levels(n - tail), bit_bytes((3 * levels + 7) / 8) {
        bytes = 16 * (int64_t{levels} + 1) + bit_bytes;
    }
};

Shape checked_shape(int n) {
    check(n >= 1 && n <= 63, "expected a comparison of 1 to 63 bits, got ", n);
    return Shape(n);
}

void check_size(const char* what, size_t got, int64_t want) {
    check(got == static_cast<size_t>(want), "expected ", want, " ", what, ", got ", got);
}

// One decision over all values, so that time says nothing of where a value lies.
void check_range(const char* what, std::span<const uint64_t> values, int n) {
    uint64_t any = 0;
    for (const uint64_t v : values) any |= v;
    check((any >> n) == 0, "expected every ", what, " below 2^", n);
}

const uint8_t* round_keys() {
    // Bits 128 to 255 of the fraction of pi: a constant that nobody chose, and not that of hash.cpp.
    static const AesKey key = aes_expand_key(
        {0xA4, 0x09, 0x38, 0x22, 0x29, 0x9F, 0x31, 0xD0, 0x08, 0x2E, 0xFA, 0x98, 0xEC, 0x4E, 0x6C, 0x89});
    return key.bytes.data();
}

const DcfKernels& kernels() {
#if defined(__x86_64__)
    if (cpu().vaes) return dcf_vaes;
    if (cpu().aesni) return dcf_aesni;
#endif
    return dcf_portable;
}

uint64_t tweak_of(int level) { return 4 * static_cast<uint64_t>(level); }

// A tile's share of the corrections: where its parts begin.
struct Tile {
    int64_t begin, size;
    int groups;
    uint64_t offset;

    Tile(const Shape& shape, int64_t index, int64_t count)
        : begin(index * tile_size),
          size(std::min(tile_size, count - begin)),
          groups(static_cast<int>(words_for(size))),
          offset(static_cast<uint64_t>(begin * shape.bytes)) {}
    bool whole() const { return size % 64 == 0; }
    int64_t seeds(int level) const { return 16 * size * level; }
    int64_t bits(const Shape& shape, int byte) const { return 16 * size * (shape.levels + 1) + size * byte; }
};

// Bits c of 64 bytes as word c, and back.
void bytes_to_words(const uint8_t (&bytes)[64], uint64_t (&words)[8]) {
    for (int i = 0; i < 8; ++i) words[i] = transpose8(load64(bytes + 8 * i));
    transpose8_bytes(words);
}

void words_to_bytes(uint64_t (&words)[8], uint8_t (&bytes)[64]) {
    transpose8_bytes(words);
    for (int i = 0; i < 8; ++i) store64(bytes + 8 * i, transpose8(words[i]));
}

struct alignas(64) TileState {
    uint8_t seeds[16 * tile_size];
    uint64_t t[tile_groups];
    uint64_t bits[3 * tile_groups];  // of the level at hand: t^0, t^1, v of each group

    void load(std::span<const Block> roots, const Tile& tile, uint64_t party) {
        std::memset(seeds, 0, sizeof(seeds));
        std::memcpy(seeds, roots.data() + tile.begin, static_cast<size_t>(16 * tile.size));
        for (uint64_t& word : t) word = uint64_t{0} - party;
    }
    // t <- t^p ^ t T^p for path bits p.
    void step(int g, uint64_t path, uint64_t t_left, uint64_t t_right) {
        const uint64_t* b = bits + 3 * g;
        t[g] = ((b[0] ^ (t[g] & t_left)) & ~path) | ((b[1] ^ (t[g] & t_right)) & path);
    }
};

void generate_tile(const Shape& shape, const Tile& tile, std::span<const uint64_t> alpha, std::span<const Block> root0,
                   std::span<const Block> root1, uint8_t* out) {
    const uint8_t* keys = round_keys();
    const DcfKernels& kernel = kernels();
    TileState p0, p1;
    p0.load(root0, tile, 0);
    p1.load(root1, tile, 1);
    uint64_t path[63 * tile_groups] = {};
    to_planes(alpha.data() + tile.begin, tile.size, 0, shape.bits, path, tile_groups);
    uint64_t words[8 * max_bit_bytes][tile_groups] = {};
    alignas(64) uint8_t padded[16 * tile_size];
    const uint64_t* above = nullptr;

    for (int level = 0; level < shape.levels; ++level) {
        const uint64_t* bit = path + tile_groups * (shape.bits - 1 - level);
        uint8_t* corrections = out + tile.seeds(level);
        kernel.generate(keys, tweak_of(level), tile.groups, p0.seeds, p1.seeds, bit, p0.t, p1.t,
                        tile.whole() ? corrections : padded, p0.bits, p1.bits);
        if (!tile.whole()) std::memcpy(corrections, padded, static_cast<size_t>(16 * tile.size));
        for (int g = 0; g < tile.groups; ++g) {
            const uint64_t t_left = p0.bits[3 * g] ^ p1.bits[3 * g] ^ ~bit[g];
            const uint64_t t_right = p0.bits[3 * g + 1] ^ p1.bits[3 * g + 1] ^ bit[g];
            words[3 * level][g] = t_left;
            words[3 * level + 1][g] = t_right;
            words[3 * level + 2][g] = p0.bits[3 * g + 2] ^ p1.bits[3 * g + 2] ^ bit[g] ^ (above ? above[g] : 0);
            p0.step(g, bit[g], t_left, t_right);
            p1.step(g, bit[g], t_left, t_right);
        }
        above = bit;
    }

    kernel.last(keys, tweak_of(shape.levels), tile.groups, p0.seeds);
    kernel.last(keys, tweak_of(shape.levels), tile.groups, p1.seeds);
    uint8_t* last = out + tile.seeds(shape.levels);
    for (int64_t i = 0; i < tile.size; ++i) {
        // Bits j < a of a 128-bit word, all ones of alpha_L over them: shifts and masks, no branch on a.
        const uint64_t a = alpha[static_cast<size_t>(tile.begin + i)] & ((uint64_t{1} << shape.tail) - 1);
        const uint64_t below = (uint64_t{1} << (a & 63)) - 1, upper = uint64_t{0} - (a >> 6);
        const uint64_t ones = uint64_t{0} - (above ? (above[i / 64] >> (i % 64)) & 1 : 0);
        const uint64_t table[2] = {(below | upper) ^ ones, (below & upper) ^ ones};
        for (int h = 0; h < 2; ++h) {
            const int64_t at = 16 * i + 8 * h;
            store64(last + at, load64(p0.seeds + at) ^ load64(p1.seeds + at) ^ table[h]);
        }
    }

    for (int byte = 0; byte < shape.bit_bytes; ++byte) {
        uint8_t* plane = out + tile.bits(shape, byte);
        for (int g = 0; g < tile.groups; ++g) {
            uint64_t eight[8];
            uint8_t bytes[64];
            for (int c = 0; c < 8; ++c) eight[c] = words[8 * byte + c][g];
            words_to_bytes(eight, bytes);
            std::memcpy(plane + 64 * g, bytes, static_cast<size_t>(std::min<int64_t>(64, tile.size - 64 * g)));
        }
    }
}

void evaluate_tile(const Shape& shape, const Tile& tile, int party, std::span<const uint64_t> x,
                   std::span<const Block> roots, const uint8_t* in, uint64_t* out) {
    const uint8_t* keys = round_keys();
    const DcfKernels& kernel = kernels();
    TileState state;
    state.load(roots, tile, static_cast<uint64_t>(party));
    uint64_t path[63 * tile_groups] = {};
    to_planes(x.data() + tile.begin, tile.size, shape.tail, shape.levels, path, tile_groups);
    uint64_t words[8 * max_bit_bytes][tile_groups];
    for (int byte = 0; byte < shape.bit_bytes; ++byte) {
        const uint8_t* plane = in + tile.bits(shape, byte);
        for (int g = 0; g < tile.groups; ++g) {
            uint8_t bytes[64] = {};
            uint64_t eight[8];
            std::memcpy(bytes, plane + 64 * g, static_cast<size_t>(std::min<int64_t>(64, tile.size - 64 * g)));
            bytes_to_words(bytes, eight);
            for (int c = 0; c < 8; ++c) words[8 * byte + c][g] = eight[c];
        }
    }
    alignas(64) uint8_t padded[16 * tile_size] = {};
    uint64_t result[tile_groups] = {};

    for (int level = 0; level < shape.levels; ++level) {
        const uint64_t* bit = path + tile_groups * (shape.levels - 1 - level);
        const uint8_t* corrections = in + tile.seeds(level);
        if (!tile.whole()) std::memcpy(padded, corrections, static_cast<size_t>(16 * tile.size));
        kernel.evaluate(keys, tweak_of(level), tile.groups, state.seeds, bit, state.t,
                        tile.whole() ? corrections : padded, state.bits);
        for (int g = 0; g < tile.groups; ++g) {
            result[g] ^= state.bits[3 * g + 2] ^ (state.t[g] & words[3 * level + 2][g]);
            state.step(g, bit[g], words[3 * level][g], words[3 * level + 1][g]);
        }
    }

    kernel.last(keys, tweak_of(shape.levels), tile.groups, state.seeds);
    const uint8_t* last = in + tile.seeds(shape.levels);
    for (int g = 0; g < tile.groups; ++g) {
        const int64_t live = std::min<int64_t>(64, tile.size - 64 * g);
        uint64_t word = 0;
        for (int64_t i = 0; i < live; ++i) {
            const uint64_t at = x[static_cast<size_t>(tile.begin + 64 * g + i)] & ((uint64_t{1} << shape.tail) - 1);
            const uint64_t byte = 16 * static_cast<uint64_t>(64 * g + i) + at / 8;
            const uint64_t mask = uint64_t{0} - ((state.t[g] >> i) & 1);
            word |= (((state.seeds[byte] ^ (last[byte] & mask)) >> (at % 8)) & 1) << i;
        }
        const uint64_t kept = live == 64 ? ~uint64_t{0} : (uint64_t{1} << live) - 1;
        out[g] = (result[g] ^ word) & kept;
    }
}

template <class Body>
void for_tiles(const Shape& shape, int64_t count, int threads, const Body& body) {
    const int64_t tiles = (count + tile_size - 1) / tile_size;
    parallel_for(tiles, tiles_per_thread, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) body(Tile(shape, i, count));
    });
}

}  // namespace

int64_t dcf_correction_bytes(int n) { return checked_shape(n).bytes; }

void dcf_generate(int n, std::span<const uint64_t> alpha, std::span<const Block> root0, std::span<const Block> root1,
                  std::span<uint8_t> corrections, int threads) {
    const Shape shape = checked_shape(n);
    const int64_t count = static_cast<int64_t>(alpha.size());
    check_size("roots of party 0", root0.size(), count);
    check_size("roots of party 1", root1.size(), count);
    check_size("bytes of corrections", corrections.size(), count * shape.bytes);
    check_range("threshold", alpha, n);
    for_tiles(shape, count, threads, [&](const Tile& tile) {
        generate_tile(shape, tile, alpha, root0, root1, corrections.data() + tile.offset);
    });
}

void dcf_evaluate(int party, int n, std::span<const uint64_t> x, std::span<const Block> roots,
                  std::span<const uint8_t> corrections, std::span<uint64_t> out, int threads) {
    const Shape shape = checked_shape(n);
    const int64_t count = static_cast<int64_t>(x.size());
    check(party == 0 || party == 1, "expected party 0 or 1, got ", party);
    check_size("roots", roots.size(), count);
    check_size("bytes of corrections", corrections.size(), count * shape.bytes);
    check_size("words of output", out.size(), words_for(count));
    check_range("input", x, n);
    for_tiles(shape, count, threads, [&](const Tile& tile) {
        evaluate_tile(shape, tile, party, x, roots, corrections.data() + tile.offset, out.data() + tile.begin / 64);
    });
}

}  // namespace moiety::crypto
