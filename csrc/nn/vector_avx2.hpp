// 256-bit vectors of float32, loaded from and stored to float32 or bfloat16. Included only by the _avx2.cpp files:
// everything has internal linkage, so that no function compiled for this instruction set can replace one elsewhere.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "nn/quadratic.hpp"

namespace moiety::nn {
namespace {

struct Vector {
    using Register = __m256;
    static constexpr int64_t lanes = 8;

    static __m256i mask(int64_t count) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                  _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    static Register widen(__m128i v) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16)); }
    // To nearest even; a NaN stays one.
    static __m128i narrow(Register v) {
        const __m256i bits = _mm256_castps_si256(v);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
        const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
        const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
        const __m256i upper = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0b1000);
        return _mm256_castsi256_si128(packed);
    }

    static Register load(const float* p) { return _mm256_loadu_ps(p); }
    static Register load(const Bf16* p) { return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
    // The first `count` (1..lanes) elements; the other lanes are zero, or left alone in memory.
    static Register load_partial(const float* p, int64_t count) { return _mm256_maskload_ps(p, mask(count)); }
    static Register load_partial(const Bf16* p, int64_t count) {
        // In pairs, and the last one by itself.
        const __m128i pairs = _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(count / 2)), _mm_setr_epi32(0, 1, 2, 3));
        const __m128i last =
            _mm_cmpeq_epi16(_mm_set1_epi16(static_cast<short>(count - 1)), _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7));
        const __m128i whole = _mm_maskload_epi32(reinterpret_cast<const int*>(p), pairs);
        return widen(_mm_blendv_epi8(whole, _mm_set1_epi16(static_cast<short>(p[count - 1].bits)), last));
    }
    static void store(float* p, Register v) { _mm256_storeu_ps(p, v); }
    static void store(Bf16* p, Register v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(v)); }
    static void store_partial(float* p, Register v, int64_t count) { _mm256_maskstore_ps(p, mask(count), v); }
    static void store_partial(Bf16* p, Register v, int64_t count) {
        Bf16 whole[lanes];
        store(whole, v);
        std::memcpy(p, whole, static_cast<size_t>(count) * sizeof(Bf16));
    }
    // Past the cache, weakly ordered; p is aligned to the vector in memory.
    static void stream(float* p, Register v) { _mm256_stream_ps(p, v); }
    static void stream(Bf16* p, Register v) { _mm_stream_si128(reinterpret_cast<__m128i*>(p), narrow(v)); }

    static Register zero() { return _mm256_setzero_ps(); }
    static Register broadcast(float v) { return _mm256_set1_ps(v); }
    static Register add(Register a, Register b) { return _mm256_add_ps(a, b); }
    static Register subtract(Register a, Register b) { return _mm256_sub_ps(a, b); }
    static Register multiply(Register a, Register b) { return _mm256_mul_ps(a, b); }
    // a * b + c
    static Register multiply_add(Register a, Register b, Register c) { return _mm256_fmadd_ps(a, b, c); }
    // The second operand where one is NaN.
    static Register max(Register a, Register b) { return _mm256_max_ps(a, b); }
    // `value` where x > 0, else 0.
    static Register where_positive(Register x, Register value) {
        return _mm256_and_ps(_mm256_cmp_ps(x, zero(), _CMP_GT_OQ), value);
    }
    static float sum(Register v) {
        __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        half = _mm_add_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
    }
    // sums[i] += v[i]
    static void add_to(double* sums, Register v) {
        const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
        const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
        _mm256_storeu_pd(sums, _mm256_add_pd(_mm256_loadu_pd(sums), low));
        _mm256_storeu_pd(sums + 4, _mm256_add_pd(_mm256_loadu_pd(sums + 4), high));
    }
};

}  // namespace
}  // namespace moiety::nn
