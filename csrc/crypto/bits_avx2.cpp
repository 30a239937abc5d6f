// Planes and packing with AVX2 byte shuffles; bits leave a byte through movemask and enter it by a transpose
// in lanes.
#include <immintrin.h>

#include "crypto/bits_kernel.hpp"

namespace moiety::crypto {
namespace {

__m128i load16(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
void store16(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }

// Elements 0, 1 in the low lane and 16, 17 in the high one, widened to 64 bits: shuffles within lanes then
// keep 16 neighbours together.
__m256i load_pairs(const uint64_t* p) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p)), load16(p + 16), 1);
}
__m256i load_pairs(const uint32_t* p) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    const __m128i high = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 16));
    return _mm256_cvtepu32_epi64(_mm_unpacklo_epi64(low, high));
}
void store_pairs(uint64_t* p, __m256i v) {
    store16(p, _mm256_castsi256_si128(v));
    store16(p + 16, _mm256_extracti128_si256(v, 1));
}
void store_pairs(uint32_t* p, __m256i v) {
    const __m256i narrow = _mm256_shuffle_epi32(v, 0x08);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(narrow));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 16), _mm256_extracti128_si256(narrow, 1));
}

__m256i both_lanes(__m128i v) { return _mm256_broadcastsi128_si256(v); }

// a ^= t ^ (t << shift) with t = (a ^ (a >> shift)) & mask: one step of the 8x8 bit transpose of 64-bit
// lanes.
template <int shift>
__m256i swap_bits(__m256i a, uint64_t mask) {
    const __m256i t = _mm256_and_si256(_mm256_xor_si256(a, _mm256_srli_epi64(a, shift)),
                                       _mm256_set1_epi64x(static_cast<long long>(mask)));
    return _mm256_xor_si256(a, _mm256_xor_si256(t, _mm256_slli_epi64(t, shift)));
}

struct Avx2 {
    static int place(int w, int j) { return 8 * j + w; }
    static int source(int w, int j) { return 64 * w + j; }

    // Bit b of the 32 bytes of v as the half `half` of word w of plane j + b.
    static void planes_of(__m256i v, uint64_t* tile, int w, int half, int j) {
        for (int b = 7; b >= 0; --b) {
            const int mask = _mm256_movemask_epi8(v);
            __builtin_memcpy(reinterpret_cast<uint8_t*>(tile + place(w, j + b)) + 4 * half, &mask, 4);
            v = _mm256_add_epi8(v, v);
        }
    }

    template <class T>
    static void split(const T* x, int first, uint64_t* tile, int w) {
        const __m128i shift = _mm_cvtsi32_si128(first);
        const __m256i pairs = both_lanes(_mm_set_epi8(15, 7, 14, 6, 13, 5, 12, 4, 11, 3, 10, 2, 9, 1, 8, 0));
        for (int half = 0; half < 2; ++half) {
            // Byte j of 2, 4, 8, then 16 neighbours in each lane.
            __m256i two[8], four[8], eight[8];
            for (int m = 0; m < 8; ++m)
                two[m] = _mm256_shuffle_epi8(_mm256_srl_epi64(load_pairs(x + 32 * half + 2 * m), shift), pairs);
            for (int m = 0; m < 4; ++m) {
                four[m] = _mm256_unpacklo_epi16(two[2 * m], two[2 * m + 1]);
                four[m + 4] = _mm256_unpackhi_epi16(two[2 * m], two[2 * m + 1]);
            }
            for (int h = 0; h < 2; ++h) {
                for (int m = 0; m < 2; ++m) {
                    const __m256i a = four[4 * h + 2 * m], b = four[4 * h + 2 * m + 1];
                    eight[4 * h + m] = _mm256_unpacklo_epi32(a, b);
                    eight[4 * h + m + 2] = _mm256_unpackhi_epi32(a, b);
                }
            }
            for (int j = 0; j < static_cast<int>(sizeof(T)) / 2; ++j) {
                planes_of(_mm256_unpacklo_epi64(eight[2 * j], eight[2 * j + 1]), tile, w, half, 16 * j);
                planes_of(_mm256_unpackhi_epi64(eight[2 * j], eight[2 * j + 1]), tile, w, half, 16 * j + 8);
            }
        }
    }

    // Byte j of 32 elements from the words of the planes 8j .. 8j+7, taking the half `half` of each.
    static __m256i bytes_of(const uint64_t* words, int half) {
        // Even and odd dwords of the eight words: the halves that are wanted, planes 0, 1, 4, 5 and 2, 3,
        // 6, 7.
        const __m256i low = _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
        const __m256i high = _mm256_load_si256(reinterpret_cast<const __m256i*>(words + 4));
        const __m256 a = _mm256_castsi256_ps(low), b = _mm256_castsi256_ps(high);
        __m256i v = _mm256_castps_si256(half == 0 ? _mm256_shuffle_ps(a, b, 0x88) : _mm256_shuffle_ps(a, b, 0xDD));
        // Lanes hold planes 0, 1, 4, 5 | 2, 3, 6, 7: to byte g of each, then 64-bit lane g with its planes in
        // order.
        v = _mm256_permute4x64_epi64(v, 0xD8);
        v = _mm256_shuffle_epi8(v, both_lanes(_mm_set_epi8(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0)));
        v = _mm256_permutevar8x32_epi32(v, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
        v = swap_bits<7>(v, 0x00AA00AA00AA00AAULL);
        v = swap_bits<14>(v, 0x0000CCCC0000CCCCULL);
        return swap_bits<28>(v, 0x00000000F0F0F0F0ULL);
    }

    template <class T>
    static void join(const uint64_t* tile, int w, T* x) {
        constexpr int bytes = static_cast<int>(sizeof(T));
        for (int half = 0; half < 2; ++half, x += 32) {
            __m256i one[8], two[8], four[8];
            for (int j = 0; j < 8; ++j)
                one[j] = j < bytes ? bytes_of(tile + source(w, 8 * j), half) : _mm256_setzero_si256();
            // two[2q + h]: bytes 2q, 2q + 1 of the elements 8h .. of each lane; four and the last step
            // likewise.
            for (int q = 0; q < 4; ++q) {
                two[2 * q] = _mm256_unpacklo_epi8(one[2 * q], one[2 * q + 1]);
                two[2 * q + 1] = _mm256_unpackhi_epi8(one[2 * q], one[2 * q + 1]);
            }
            for (int q = 0; q < 2; ++q) {
                for (int h = 0; h < 2; ++h) {
                    four[4 * q + 2 * h] = _mm256_unpacklo_epi16(two[4 * q + h], two[4 * q + 2 + h]);
                    four[4 * q + 2 * h + 1] = _mm256_unpackhi_epi16(two[4 * q + h], two[4 * q + 2 + h]);
                }
            }
            for (int h = 0; h < 4; ++h) {
                store_pairs(x + 4 * h, _mm256_unpacklo_epi32(four[h], four[4 + h]));
                store_pairs(x + 4 * h + 2, _mm256_unpackhi_epi32(four[h], four[4 + h]));
            }
        }
    }
};

template <class T>
void pack(const T* x, int64_t n, int bytes, uint8_t* out) {
    constexpr int size = static_cast<int>(sizeof(T)), each = 16 / size;
    alignas(16) uint8_t index[16];
    for (int t = 0; t < 16; ++t)
        index[t] = t < each * bytes ? static_cast<uint8_t>(t / bytes * size + t % bytes) : uint8_t{0x80};
    const __m256i gather = both_lanes(load16(index));
    const int step = each * bytes;
    int64_t i = 0;
    // Each half register overlaps the next one's place as long as it ends within the output.
    for (; n - i >= 2 * each && (n - i) * bytes >= step + 16; i += 2 * each) {
        const __m256i v = _mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i)), gather);
        store16(out + i * bytes, _mm256_castsi256_si128(v));
        store16(out + i * bytes + step, _mm256_extracti128_si256(v, 1));
    }
    for (; i < n; ++i)
        for (int j = 0; j < bytes; ++j) out[i * bytes + j] = static_cast<uint8_t>(x[i] >> (8 * j));
}

template <class T>
void unpack(const uint8_t* in, int64_t n, int bytes, T* x) {
    constexpr int size = static_cast<int>(sizeof(T)), each = 16 / size;
    alignas(16) uint8_t index[16];
    for (int t = 0; t < 16; ++t)
        index[t] = t % size < bytes ? static_cast<uint8_t>(t / size * bytes + t % size) : uint8_t{0x80};
    const __m256i spread = both_lanes(load16(index));
    const int step = each * bytes;
    int64_t i = 0;
    for (; n - i >= 2 * each && (n - i) * bytes >= step + 16; i += 2 * each) {
        const __m128i low = load16(in + i * bytes), high = load16(in + i * bytes + step);
        const __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(x + i), _mm256_shuffle_epi8(v, spread));
    }
    for (; i < n; ++i) {
        T value = 0;
        for (int j = 0; j < bytes; ++j) value |= static_cast<T>(static_cast<T>(in[i * bytes + j]) << (8 * j));
        x[i] = value;
    }
}

}  // namespace

const BitsKernels<uint32_t> bits_avx2_u32 = {to_planes<Avx2, uint32_t>, from_planes<Avx2, uint32_t>, pack<uint32_t>,
                                             unpack<uint32_t>};
const BitsKernels<uint64_t> bits_avx2_u64 = {to_planes<Avx2, uint64_t>, from_planes<Avx2, uint64_t>, pack<uint64_t>,
                                             unpack<uint64_t>};

}  // namespace moiety::crypto
