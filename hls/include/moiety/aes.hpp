// AES-128 (FIPS 197), its counter mode as a generator, and the correlation-robust hash H(x, i) = pi(pi(x) ^ i) ^ pi(x)
// with AES under a public constant (csrc/crypto/{aes,prg,hash}.hpp), one block a cycle in ten pipelined rounds.
//
// A block is ap_uint<128>, byte i of FIPS 197 in bits 8i..8i+7. The S-box is a table: logic on an FPGA, where its time
// depends on nothing; this file is no software implementation.
#pragma once

#include <moiety/types.hpp>

namespace moiety {

using block = ap_uint<128>;

// The S-box from its definition, x^-1 in GF(2^8) and an affine map, evaluated when the table is made.
struct SubBytes {
    unsigned char at[256];
    constexpr SubBytes() : at() {
        // 3 generates the multiplicative group, 0xF6 is its inverse: p runs over all x, q over 1 / x.
        unsigned char p = 1, q = 1;
        do {
            p = static_cast<unsigned char>(p ^ (p << 1) ^ (p & 0x80 ? 0x1B : 0));
            q = static_cast<unsigned char>(q ^ (q << 1));
            q = static_cast<unsigned char>(q ^ (q << 2));
            q = static_cast<unsigned char>(q ^ (q << 4));
            if (q & 0x80) q = static_cast<unsigned char>(q ^ 0x09);
            unsigned x = q, s = q;
            for (int i = 0; i < 4; ++i) {
                x = ((x << 1) | (x >> 7)) & 0xFF;
                s ^= x;
            }
            at[p] = static_cast<unsigned char>(s ^ 0x63);
        } while (p != 1);
        at[0] = 0x63;
    }
};
static constexpr SubBytes sub_bytes{};

struct AesKey {
    block round[11];
};

inline unsigned char byte_of(const block& b, int i) { return static_cast<unsigned char>(word(b >> (8 * i)) & 0xFF); }

inline block block_of(const unsigned char bytes[16]) {
#pragma HLS INLINE
    word low = 0, high = 0;
    for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
        low |= word(word(bytes[i]) << (8 * i));
        high |= word(word(bytes[8 + i]) << (8 * i));
    }
    return block(block(block(high) << 64) | low);
}

inline unsigned char doubled(unsigned char x) { return static_cast<unsigned char>((x << 1) ^ (x & 0x80 ? 0x1B : 0)); }

// SubBytes, ShiftRows, MixColumns (not in the last round), AddRoundKey.
inline block aes_round(const block& state, const block& key, bool last) {
#pragma HLS INLINE
    unsigned char in[16], out[16];
    for (int i = 0; i < 16; ++i) {
#pragma HLS UNROLL
        in[i] = sub_bytes.at[byte_of(state, (i + 4 * (i % 4)) % 16)];
    }
    for (int c = 0; c < 16; c += 4) {
#pragma HLS UNROLL
        const unsigned char all = in[c] ^ in[c + 1] ^ in[c + 2] ^ in[c + 3];
        for (int r = 0; r < 4; ++r) {
#pragma HLS UNROLL
            const unsigned char mixed =
                static_cast<unsigned char>(in[c + r] ^ all ^ doubled(in[c + r] ^ in[c + (r + 1) % 4]));
            out[c + r] = last ? in[c + r] : mixed;
        }
    }
    return block(block_of(out) ^ key);
}

inline block aes_encrypt(const AesKey& key, const block& in) {
#pragma HLS INLINE
    block state = block(in ^ key.round[0]);
    for (int r = 1; r <= 10; ++r) {
#pragma HLS UNROLL
        state = aes_round(state, key.round[r], r == 10);
    }
    return state;
}

inline AesKey aes_key(const block& key) {
    unsigned char k[16], constant = 1;
    for (int i = 0; i < 16; ++i) k[i] = byte_of(key, i);
    AesKey made;
    made.round[0] = key;
    for (int r = 1; r <= 10; ++r) {
        unsigned char turned[4];
        for (int i = 0; i < 4; ++i) turned[i] = sub_bytes.at[k[12 + (i + 1) % 4]];
        turned[0] = static_cast<unsigned char>(turned[0] ^ constant);
        for (int i = 0; i < 16; ++i) k[i] = static_cast<unsigned char>(k[i] ^ (i < 4 ? turned[i] : k[i - 4]));
        constant = doubled(constant);
        made.round[r] = block_of(k);
    }
    return made;
}

// The fixed key of the hash: the first 128 bits of the fraction of pi.
inline AesKey hash_key() {
    const unsigned char pi[16] = {0x24, 0x3F, 0x6A, 0x88, 0x85, 0xA3, 0x08, 0xD3,
                                  0x13, 0x19, 0x8A, 0x2E, 0x03, 0x70, 0x73, 0x44};
    return aes_key(block_of(pi));
}

inline block hash(const AesKey& pi, const block& x, word tweak) {
#pragma HLS INLINE
    const block inner = aes_encrypt(pi, x);
    return block(aes_encrypt(pi, block(inner ^ tweak)) ^ inner);
}

}  // namespace moiety
