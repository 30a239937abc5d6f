// 512-bit vectors of float32, loaded from and stored to float32 or bfloat16. Included only by the _avx512.cpp files:
// everything has internal linkage, so that no function compiled for this instruction set can replace one elsewhere.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "nn/quadratic.hpp"

namespace moiety::nn {
namespace {

struct Vector {
    using Register = __m512;
    static constexpr int64_t lanes = 16;

    static __mmask16 mask(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
    static Register widen(__m256i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16)); }
    // To nearest even; a NaN stays one.
    static __m256i narrow(Register v) {
        const __m512i bits = _mm512_castps_si512(v);
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
        return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, quiet), 16));
    }

    static Register load(const float* p) { return _mm512_loadu_ps(p); }
    static Register load(const Bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
    // The first `count` (1..lanes) elements; the other lanes are zero, or left alone in memory.
    static Register load_partial(const float* p, int64_t count) { return _mm512_maskz_loadu_ps(mask(count), p); }
    static Register load_partial(const Bf16* p, int64_t count) {
        return widen(_mm256_maskz_loadu_epi16(mask(count), p));
    }
    static void store(float* p, Register v) { _mm512_storeu_ps(p, v); }
    static void store(Bf16* p, Register v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
    static void store_partial(float* p, Register v, int64_t count) { _mm512_mask_storeu_ps(p, mask(count), v); }
    static void store_partial(Bf16* p, Register v, int64_t count) {
        _mm256_mask_storeu_epi16(p, mask(count), narrow(v));
    }
    // Past the cache, weakly ordered; p is aligned to the vector in memory.
    static void stream(float* p, Register v) { _mm512_stream_ps(p, v); }
    static void stream(Bf16* p, Register v) { _mm256_stream_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }

    static Register zero() { return _mm512_setzero_ps(); }
    static Register broadcast(float v) { return _mm512_set1_ps(v); }
    static Register add(Register a, Register b) { return _mm512_add_ps(a, b); }
    static Register subtract(Register a, Register b) { return _mm512_sub_ps(a, b); }
    static Register multiply(Register a, Register b) { return _mm512_mul_ps(a, b); }
    // a * b + c
    static Register multiply_add(Register a, Register b, Register c) { return _mm512_fmadd_ps(a, b, c); }
    // The second operand where one is NaN.
    static Register max(Register a, Register b) { return _mm512_max_ps(a, b); }
    // `value` where x > 0, else 0.
    static Register where_positive(Register x, Register value) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, zero(), _CMP_GT_OQ), value);
    }
    static float sum(Register v) { return _mm512_reduce_add_ps(v); }
    // sums[i] += v[i]
    static void add_to(double* sums, Register v) {
        const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
        const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
        _mm512_storeu_pd(sums, _mm512_add_pd(_mm512_loadu_pd(sums), low));
        _mm512_storeu_pd(sums + 8, _mm512_add_pd(_mm512_loadu_pd(sums + 8), high));
    }
};

}  // namespace
}  // namespace moiety::nn
