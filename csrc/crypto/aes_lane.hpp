// Registers of AES blocks for the kernels that are written once over them: Lane1 is one block in an SSE
// register (AES-NI), Lane4 four blocks in an AVX-512 register (VAES). Included only by files compiled for one
// of the two; the anonymous namespace keeps each file's instantiations to itself.
#pragma once

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12's own headers, bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstdint>

namespace moiety::crypto {
namespace {

#if defined(__VAES__) && defined(__AVX512BW__)

struct Lane4 {
    using Vec = __m512i;
    static constexpr int blocks = 4;
    static Vec load(const uint8_t* p) { return _mm512_loadu_si512(p); }
    static void store(uint8_t* p, Vec v) { _mm512_storeu_si512(p, v); }
    static Vec broadcast(const uint8_t* p) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static Vec exclusive_or(Vec a, Vec b) { return _mm512_xor_si512(a, b); }
    static Vec add64(Vec a, Vec b) { return _mm512_add_epi64(a, b); }
    static Vec round(Vec v, Vec key) { return _mm512_aesenc_epi128(v, key); }
    static Vec last_round(Vec v, Vec key) { return _mm512_aesenclast_epi128(v, key); }
    // Block b is (low + b, high); the step is what carries it to the next register.
    static Vec counters(uint64_t low, uint64_t high) {
        const long long l = static_cast<long long>(low), h = static_cast<long long>(high);
        return _mm512_add_epi64(_mm512_set_epi64(h, l, h, l, h, l, h, l), _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
    }
    static Vec counter_step() { return _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4); }
    // (low, 0) in every block.
    static Vec low_word(uint64_t low) {
        const long long l = static_cast<long long>(low);
        return _mm512_set_epi64(0, l, 0, l, 0, l, 0, l);
    }
    // v where the block's bit of `word` is one, else zero; j is the register's place in the group of 64
    // blocks.
    static Vec where(uint64_t word, int j, Vec v) {
        const __m512i own = _mm512_set_epi64(8, 8, 4, 4, 2, 2, 1, 1);
        const __m512i bits = _mm512_set1_epi64(static_cast<long long>(word >> (4 * j)));
        return _mm512_maskz_mov_epi64(_mm512_test_epi64_mask(bits, own), v);
    }
    // Bit c of block i as bit i of bits[c], c < 3, for the 16 registers of a group.
    static void low_bits(const Vec (&v)[16], uint64_t* bits) {
        const __m512i byte = _mm512_set1_epi32(0xFF);
        __m512i words[2];
        for (int h = 0; h < 2; ++h) {
            __m512i quads[2];
            for (int q = 0; q < 2; ++q) {
                const Vec* p = v + 8 * h + 4 * q;
                const __m512i low = _mm512_unpacklo_epi32(p[0], p[1]), high = _mm512_unpacklo_epi32(p[2], p[3]);
                quads[q] = _mm512_and_si512(_mm512_unpacklo_epi64(low, high), byte);
            }
            words[h] = _mm512_packus_epi32(quads[0], quads[1]);
        }
        // 128-bit lane l, byte j now belongs to block 4j + l: a transpose of 4x4 dwords, then of 4x4 bytes in
        // each lane.
        __m512i all = _mm512_packus_epi16(words[0], words[1]);
        all = _mm512_permutexvar_epi32(_mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0), all);
        all = _mm512_shuffle_epi8(
            all, _mm512_broadcast_i32x4(_mm_set_epi8(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0)));
        for (int c = 0; c < 3; ++c) bits[c] = _mm512_test_epi8_mask(all, _mm512_set1_epi8(static_cast<char>(1 << c)));
    }
};

#elif defined(__AES__)

struct Lane1 {
    using Vec = __m128i;
    static constexpr int blocks = 1;
    static Vec load(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
    static void store(uint8_t* p, Vec v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
    static Vec broadcast(const uint8_t* p) { return load(p); }
    static Vec exclusive_or(Vec a, Vec b) { return _mm_xor_si128(a, b); }
    static Vec add64(Vec a, Vec b) { return _mm_add_epi64(a, b); }
    static Vec round(Vec v, Vec key) { return _mm_aesenc_si128(v, key); }
    static Vec last_round(Vec v, Vec key) { return _mm_aesenclast_si128(v, key); }
    static Vec counters(uint64_t low, uint64_t high) {
        return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    }
    static Vec counter_step() { return _mm_set_epi64x(0, 1); }
    static Vec low_word(uint64_t low) { return _mm_set_epi64x(0, static_cast<long long>(low)); }
    static Vec where(uint64_t word, int j, Vec v) {
        return _mm_and_si128(_mm_set1_epi64x(-static_cast<long long>((word >> j) & 1)), v);
    }
    static void low_bits(const Vec (&v)[64], uint64_t* bits) {
        const __m128i byte = _mm_set1_epi32(0xFF);
        bits[0] = bits[1] = bits[2] = 0;
        for (int part = 0; part < 4; ++part) {
            __m128i quads[4];
            for (int q = 0; q < 4; ++q) {
                const Vec* p = v + 16 * part + 4 * q;
                const __m128i low = _mm_unpacklo_epi32(p[0], p[1]), high = _mm_unpacklo_epi32(p[2], p[3]);
                quads[q] = _mm_and_si128(_mm_unpacklo_epi64(low, high), byte);
            }
            const __m128i all =
                _mm_packus_epi16(_mm_packus_epi32(quads[0], quads[1]), _mm_packus_epi32(quads[2], quads[3]));
            for (int c = 0; c < 3; ++c) {
                const int mask = _mm_movemask_epi8(_mm_slli_epi64(all, 7 - c));
                bits[c] |= static_cast<uint64_t>(static_cast<uint32_t>(mask)) << (16 * part);
            }
        }
    }
};

#endif

template <class L>
struct RoundKeys {
    typename L::Vec key[11];

    explicit RoundKeys(const uint8_t* bytes) {
        for (int r = 0; r < 11; ++r) key[r] = L::broadcast(bytes + 16 * r);
    }
    // K independent registers at once, so that the rounds' latency is hidden.
    template <int K>
    void encrypt(typename L::Vec (&v)[K]) const {
        for (int k = 0; k < K; ++k) v[k] = L::exclusive_or(v[k], key[0]);
        for (int r = 1; r < 10; ++r)
            for (int k = 0; k < K; ++k) v[k] = L::round(v[k], key[r]);
        for (int k = 0; k < K; ++k) v[k] = L::last_round(v[k], key[10]);
    }
};

}  // namespace
}  // namespace moiety::crypto
