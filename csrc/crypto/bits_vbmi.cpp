// Planes and packing with AVX-512 VBMI byte permutations and the 8x8 bit-matrix product of GFNI.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12's own headers, bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "crypto/bits_kernel.hpp"

namespace moiety::crypto {
namespace {

__m512i load8(const uint64_t* p) { return _mm512_loadu_si512(p); }
__m512i load8(const uint32_t* p) {
    return _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
void store8(uint64_t* p, __m512i v) { _mm512_storeu_si512(p, v); }
void store8(uint32_t* p, __m512i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi64_epi32(v)); }

// Byte permutation whose byte 8j + (i ^ flip) comes from byte 8i + j.
__m512i byte_transpose(int flip) {
    alignas(64) uint8_t index[64];
    for (int j = 0; j < 8; ++j)
        for (int i = 0; i < 8; ++i) index[8 * j + (i ^ flip)] = static_cast<uint8_t>(8 * i + j);
    return _mm512_load_si512(index);
}

// Bit i of byte k of each 64-bit lane = bit k of byte 7 - i of `rows`.
__m512i transpose_reversed(__m512i rows) {
    return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64(static_cast<long long>(0x8040201008040201ULL)), rows, 0);
}

struct Vbmi {
    // The order in which `split` leaves its words: two of every 16 planes a register.
    static int place(int w, int j) { return 64 * w + 8 * (j % 16 / 2) + 2 * (j / 16) + j % 2; }
    // The same for `join`, each eight planes reversed for the matrix product.
    static int source(int w, int j) { return place(w, j ^ 7); }

    template <class T>
    static void split(const T* x, int first, uint64_t* tile, int w) {
        const __m512i by_byte = byte_transpose(7);
        const __m128i shift = _mm_cvtsi32_si128(first);
        // r[g]: byte p holds bit p of the elements 8g .. 8g+7.
        __m512i r[8], pair[8], quad[8];
        for (int g = 0; g < 8; ++g)
            r[g] = transpose_reversed(_mm512_permutexvar_epi8(by_byte, _mm512_srl_epi64(load8(x + 8 * g), shift)));
        for (int g = 0; g < 8; g += 2) {
            pair[g] = _mm512_unpacklo_epi8(r[g], r[g + 1]);
            pair[g + 1] = _mm512_unpackhi_epi8(r[g], r[g + 1]);
        }
        for (int g = 0; g < 8; g += 4) {
            for (int h = 0; h < 2; ++h) {
                quad[g + 2 * h] = _mm512_unpacklo_epi16(pair[g + h], pair[g + h + 2]);
                quad[g + 2 * h + 1] = _mm512_unpackhi_epi16(pair[g + h], pair[g + h + 2]);
            }
        }
        for (int q = 0; q < 4; ++q) {
            uint64_t* to = tile + 64 * w + 16 * q;
            _mm512_store_si512(to, _mm512_unpacklo_epi32(quad[q], quad[q + 4]));
            _mm512_store_si512(to + 8, _mm512_unpackhi_epi32(quad[q], quad[q + 4]));
        }
    }

    template <class T>
    static void join(const uint64_t* tile, int w, T* x) {
        const __m512i by_byte = byte_transpose(0);
        const __m512i pairs =
            _mm512_broadcast_i32x4(_mm_set_epi8(15, 7, 14, 6, 13, 5, 12, 4, 11, 3, 10, 2, 9, 1, 8, 0));
        // Bytes g of all planes gathered in the order 2, 4, 8, 16 planes of each 16.
        __m512i two[8], four[8], eight[8];
        for (int q = 0; q < 8; ++q) two[q] = _mm512_shuffle_epi8(_mm512_load_si512(tile + 64 * w + 8 * q), pairs);
        for (int q = 0; q < 4; ++q) {
            four[q] = _mm512_unpacklo_epi16(two[2 * q], two[2 * q + 1]);
            four[q + 4] = _mm512_unpackhi_epi16(two[2 * q], two[2 * q + 1]);
        }
        for (int h = 0; h < 2; ++h) {
            for (int q = 0; q < 2; ++q) {
                const __m512i a = four[4 * h + 2 * q], b = four[4 * h + 2 * q + 1];
                eight[4 * h + q] = _mm512_unpacklo_epi32(a, b);
                eight[4 * h + q + 2] = _mm512_unpackhi_epi32(a, b);
            }
        }
        for (int g = 0; g < 4; ++g) {
            const __m512i even = _mm512_unpacklo_epi64(eight[2 * g], eight[2 * g + 1]);
            const __m512i odd = _mm512_unpackhi_epi64(eight[2 * g], eight[2 * g + 1]);
            store8(x + 16 * g, _mm512_permutexvar_epi8(by_byte, transpose_reversed(even)));
            store8(x + 16 * g + 8, _mm512_permutexvar_epi8(by_byte, transpose_reversed(odd)));
        }
    }
};

__mmask64 first_bytes(int64_t count) { return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1; }

template <class T>
void pack(const T* x, int64_t n, int bytes, uint8_t* out) {
    constexpr int each = 64 / static_cast<int>(sizeof(T));
    alignas(64) uint8_t index[64] = {};
    for (int t = 0; t < each * bytes; ++t)
        index[t] = static_cast<uint8_t>(t / bytes * static_cast<int>(sizeof(T)) + t % bytes);
    const __m512i gather = _mm512_load_si512(index);
    int64_t i = 0;
    // Whole registers overlap the next one's place as long as they end within the output.
    for (; (n - i) * bytes >= 64 && n - i >= each; i += each)
        _mm512_storeu_si512(out + i * bytes, _mm512_permutexvar_epi8(gather, _mm512_loadu_si512(x + i)));
    for (; i < n; i += each) {
        const int64_t live = n - i < each ? n - i : each;
        const __m512i v = _mm512_maskz_loadu_epi8(first_bytes(live * static_cast<int64_t>(sizeof(T))), x + i);
        _mm512_mask_storeu_epi8(out + i * bytes, first_bytes(live * bytes), _mm512_permutexvar_epi8(gather, v));
    }
}

template <class T>
void unpack(const uint8_t* in, int64_t n, int bytes, T* x) {
    constexpr int size = static_cast<int>(sizeof(T)), each = 64 / size;
    alignas(64) uint8_t index[64] = {};
    __mmask64 kept = 0;
    for (int t = 0; t < 64; ++t) {
        if (t % size >= bytes) continue;
        index[t] = static_cast<uint8_t>(t / size * bytes + t % size);
        kept |= uint64_t{1} << t;
    }
    const __m512i spread = _mm512_load_si512(index);
    int64_t i = 0;
    for (; (n - i) * bytes >= 64 && n - i >= each; i += each)
        _mm512_storeu_si512(x + i, _mm512_maskz_permutexvar_epi8(kept, spread, _mm512_loadu_si512(in + i * bytes)));
    for (; i < n; i += each) {
        const int64_t live = n - i < each ? n - i : each;
        const __m512i v = _mm512_maskz_loadu_epi8(first_bytes(live * bytes), in + i * bytes);
        _mm512_mask_storeu_epi8(x + i, first_bytes(live * size), _mm512_maskz_permutexvar_epi8(kept, spread, v));
    }
}

}  // namespace

const BitsKernels<uint32_t> bits_vbmi_u32 = {to_planes<Vbmi, uint32_t>, from_planes<Vbmi, uint32_t>, pack<uint32_t>,
                                             unpack<uint32_t>};
const BitsKernels<uint64_t> bits_vbmi_u64 = {to_planes<Vbmi, uint64_t>, from_planes<Vbmi, uint64_t>, pack<uint64_t>,
                                             unpack<uint64_t>};

}  // namespace moiety::crypto
