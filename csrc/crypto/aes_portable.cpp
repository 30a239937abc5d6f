// Bitsliced AES-128: eight blocks in eight words of two 64-bit lanes, which every 64-bit CPU has vector
// registers for. Bit i of lane l of slice k is bit k of byte i of the lane's 64 bytes, so that a block is 16
// neighbouring bits, a column four, and ShiftRows and MixColumns are masked shifts. The S-box is the 113-gate
// circuit of Boyar and Peralta (A depth-16 circuit for the AES S-box, ePrint 2011/332).
#include <bit>
#include <cstring>

#include "crypto/aes.hpp"
#include "crypto/aes_kernels.hpp"
#include "crypto/little_endian.hpp"
#include "crypto/transpose.hpp"

namespace moiety::crypto {
namespace {

using Word = uint64_t __attribute__((vector_size(16)));
using Slices = Word[8];
constexpr int lanes = 2;
constexpr int tile_blocks = 4 * lanes;
constexpr int tile_bytes = 16 * tile_blocks;

void slice(const uint8_t* bytes, Slices& q) {
    for (int w = 0; w < 8; ++w) {
        for (int l = 0; l < lanes; ++l) q[w][l] = load64(bytes + 64 * l + 8 * w);
        q[w] = transpose8(q[w]);
    }
    transpose8_bytes(q);
}

void unslice(Slices& q, uint8_t* bytes) {
    transpose8_bytes(q);
    for (int w = 0; w < 8; ++w) {
        q[w] = transpose8(q[w]);
        for (int l = 0; l < lanes; ++l) store64(bytes + 64 * l + 8 * w, q[w][l]);
    }
}

void sub_bytes(Slices& q) {
    const Word x0 = q[7], x1 = q[6], x2 = q[5], x3 = q[4], x4 = q[3], x5 = q[2], x6 = q[1], x7 = q[0];

    const Word y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5, t0 = x1 ^ x2, y1 = t0 ^ x7;
    const Word y4 = y1 ^ x3, y12 = y13 ^ y14, y2 = y1 ^ x0, y5 = y1 ^ x6, y3 = y5 ^ y8, t1 = x4 ^ y12;
    const Word y15 = t1 ^ x5, y20 = t1 ^ x1, y6 = y15 ^ x7, y10 = y15 ^ t0, y11 = y20 ^ y9, y7 = x7 ^ y11;
    const Word y17 = y10 ^ y11, y19 = y10 ^ y8, y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;

    const Word t2 = y12 & y15, t3 = y3 & y6, t4 = t3 ^ t2, t5 = y4 & x7, t6 = t5 ^ t2, t7 = y13 & y16;
    const Word t8 = y5 & y1, t9 = t8 ^ t7, t10 = y2 & y7, t11 = t10 ^ t7, t12 = y9 & y11, t13 = y14 & y17;
    const Word t14 = t13 ^ t12, t15 = y8 & y10, t16 = t15 ^ t12, t17 = t4 ^ t14, t18 = t6 ^ t16;
    const Word t19 = t9 ^ t14, t20 = t11 ^ t16, t21 = t17 ^ y20, t22 = t18 ^ y19, t23 = t19 ^ y21;
    const Word t24 = t20 ^ y18;

    const Word t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26, t28 = t25 & t27, t29 = t28 ^ t22;
    const Word t30 = t23 ^ t24, t31 = t22 ^ t26, t32 = t31 & t30, t33 = t32 ^ t24, t34 = t23 ^ t33;
    const Word t35 = t27 ^ t33, t36 = t24 & t35, t37 = t36 ^ t34, t38 = t27 ^ t36, t39 = t29 & t38;
    const Word t40 = t25 ^ t39;

    const Word t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40, t44 = t33 ^ t37, t45 = t42 ^ t41;
    const Word z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & x7, z3 = t43 & y16, z4 = t40 & y1, z5 = t29 & y7;
    const Word z6 = t42 & y11, z7 = t45 & y17, z8 = t41 & y10, z9 = t44 & y12, z10 = t37 & y3;
    const Word z11 = t33 & y4, z12 = t43 & y13, z13 = t40 & y5, z14 = t29 & y2, z15 = t42 & y9;
    const Word z16 = t45 & y14, z17 = t41 & y8;

    const Word t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10, t50 = z2 ^ z12;
    const Word t51 = z2 ^ z5, t52 = z7 ^ z8, t53 = z0 ^ z3, t54 = z6 ^ z7, t55 = z16 ^ z17;
    const Word t56 = z12 ^ t48, t57 = t50 ^ t53, t58 = z4 ^ t46, t59 = z3 ^ t54, t60 = t46 ^ t57;
    const Word t61 = z14 ^ t57, t62 = t52 ^ t58, t63 = t49 ^ t58, t64 = z4 ^ t59, t65 = t61 ^ t62;
    const Word t66 = z1 ^ t63, t67 = t64 ^ t65, s3 = t53 ^ t66;
    q[7] = t59 ^ t63;
    q[6] = t64 ^ ~s3;
    q[5] = t55 ^ ~t67;
    q[4] = s3;
    q[3] = t51 ^ t66;
    q[2] = t47 ^ t65;
    q[1] = t56 ^ ~t62;
    q[0] = t48 ^ ~t60;
}

// Row r of column c, bit 4c + r of a block, takes row r of column c + r.
void shift_rows(Slices& q) {
    for (Word& v : q) {
        v = (v & 0x1111111111111111ULL) | ((v & 0x2220222022202220ULL) >> 4) | ((v & 0x0002000200020002ULL) << 12) |
            ((v & 0x4400440044004400ULL) >> 8) | ((v & 0x0044004400440044ULL) << 8) |
            ((v & 0x8000800080008000ULL) >> 12) | ((v & 0x0888088808880888ULL) << 4);
    }
}

// Row r of every column takes row r + 1, respectively r + 2.
Word next_row(Word v) { return ((v >> 1) & 0x7777777777777777ULL) | ((v << 3) & 0x8888888888888888ULL); }
Word second_row(Word v) { return ((v >> 2) & 0x3333333333333333ULL) | ((v << 2) & 0xCCCCCCCCCCCCCCCCULL); }

// a_r <- 2 (a_r + a_{r+1}) + a_{r+1} + (a_{r+2} + a_{r+3}) in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
void mix_columns(Slices& q) {
    Slices next, pair;
    for (int k = 0; k < 8; ++k) {
        next[k] = next_row(q[k]);
        pair[k] = q[k] ^ next[k];
    }
    for (int k = 0; k < 8; ++k) {
        Word twice = k > 0 ? pair[k - 1] : pair[7];
        if (k == 1 || k == 3 || k == 4) twice ^= pair[7];
        q[k] = twice ^ next[k] ^ second_row(pair[k]);
    }
}

void add_key(Slices& q, const Slices& key) {
    for (int k = 0; k < 8; ++k) q[k] ^= key[k];
}

// The round keys, sliced and repeated for the blocks of a tile.
struct SlicedKey {
    Slices rounds[11];

    explicit SlicedKey(const uint8_t* round_keys) {
        for (int r = 0; r < 11; ++r) {
            uint8_t bytes[tile_bytes];
            for (int b = 0; b < tile_blocks; ++b) std::memcpy(bytes + 16 * b, round_keys + 16 * r, 16);
            slice(bytes, rounds[r]);
        }
    }

    // A whole tile; `in` and `out` may be the same.
    void encrypt(const uint8_t* in, uint8_t* out) const {
        Slices q;
        slice(in, q);
        add_key(q, rounds[0]);
        for (int r = 1; r < 10; ++r) {
            sub_bytes(q);
            shift_rows(q);
            mix_columns(q);
            add_key(q, rounds[r]);
        }
        sub_bytes(q);
        shift_rows(q);
        add_key(q, rounds[10]);
        unslice(q, out);
    }
};

// Calls body(first block, blocks) tile by tile.
template <class Body>
void for_tiles(int64_t blocks, const Body& body) {
    for (int64_t b = 0; b < blocks; b += tile_blocks) body(b, blocks - b < tile_blocks ? blocks - b : tile_blocks);
}

size_t bytes_of(int64_t blocks) { return static_cast<size_t>(16 * blocks); }

void encrypt(const uint8_t* round_keys, const uint8_t* in, uint8_t* out, int64_t blocks) {
    const SlicedKey key(round_keys);
    for_tiles(blocks, [&](int64_t b, int64_t count) {
        uint8_t bytes[tile_bytes] = {};
        std::memcpy(bytes, in + 16 * b, bytes_of(count));
        key.encrypt(bytes, bytes);
        std::memcpy(out + 16 * b, bytes, bytes_of(count));
    });
}

void counter(const uint8_t* round_keys, uint64_t nonce, uint64_t first, uint8_t* out, int64_t blocks) {
    const SlicedKey key(round_keys);
    for_tiles(blocks, [&](int64_t b, int64_t count) {
        uint8_t bytes[tile_bytes];
        for (int i = 0; i < tile_blocks; ++i) {
            store64(bytes + 16 * i, first + static_cast<uint64_t>(b + i));
            store64(bytes + 16 * i + 8, nonce);
        }
        key.encrypt(bytes, bytes);
        std::memcpy(out + 16 * b, bytes, bytes_of(count));
    });
}

void tmmo(const uint8_t* round_keys, const uint8_t* x, uint64_t first, uint8_t* out, int64_t blocks) {
    const SlicedKey key(round_keys);
    for_tiles(blocks, [&](int64_t b, int64_t count) {
        uint8_t inner[tile_bytes] = {}, outer[tile_bytes];
        std::memcpy(inner, x + 16 * b, bytes_of(count));
        key.encrypt(inner, inner);
        std::memcpy(outer, inner, sizeof(outer));
        for (int i = 0; i < tile_blocks; ++i)
            store64(outer + 16 * i, load64(inner + 16 * i) ^ (first + static_cast<uint64_t>(b + i)));
        key.encrypt(outer, outer);
        for (int i = 0; i < tile_bytes; ++i) outer[i] ^= inner[i];
        std::memcpy(out + 16 * b, outer, bytes_of(count));
    });
}

// The S-box on four bytes.
uint32_t sub_word(uint32_t word) {
    uint8_t bytes[tile_bytes] = {};
    for (int i = 0; i < 4; ++i) bytes[i] = static_cast<uint8_t>(word >> (8 * i));
    Slices q;
    slice(bytes, q);
    sub_bytes(q);
    unslice(q, bytes);
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i) result |= uint32_t{bytes[i]} << (8 * i);
    return result;
}

}  // namespace

const AesKernels aes_portable = {encrypt, counter, tmmo};

AesKey aes_expand_key(const Block& key) {
    constexpr uint8_t round_constants[10] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1B, 0x36};
    AesKey result;
    uint32_t w[44];
    for (int i = 0; i < 4; ++i) {
        w[i] = 0;
        for (int j = 0; j < 4; ++j) w[i] |= uint32_t{key[static_cast<size_t>(4 * i + j)]} << (8 * j);
    }
    for (int i = 4; i < 44; ++i) {
        uint32_t t = w[i - 1];
        if (i % 4 == 0) t = sub_word(std::rotr(t, 8)) ^ round_constants[i / 4 - 1];
        w[i] = w[i - 4] ^ t;
    }
    for (int i = 0; i < 44; ++i)
        for (int j = 0; j < 4; ++j)
            result.bytes[static_cast<size_t>(4 * i + j)] = static_cast<uint8_t>(w[i] >> (8 * j));
    return result;
}

}  // namespace moiety::crypto
