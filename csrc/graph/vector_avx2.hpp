// 256-bit vectors of every type that graphs compute in. Included only by the _avx2.cpp files: everything has internal
// linkage, so that no function compiled for this instruction set can replace one elsewhere.
#pragma once

#include <algorithm>

#include "graph/exp.hpp"
#include "graph/spmm.hpp"
#include "nn/vector_avx2.hpp"
#include "ring/vector_avx2.hpp"

namespace moiety::graph {
namespace {

template <class T>
struct Lanes;

// float32, read from and written to float32 or bfloat16, with 32-bit numbers beside them.
struct FloatLanes : nn::Vector {
    using nn::Vector::store;
    using nn::Vector::store_partial;
    using Index = __m256i;
    static Index index(int32_t v) { return _mm256_set1_epi32(v); }
    static void store(int32_t* p, Index v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    static void store_partial(int32_t* p, Index v, int64_t count) { _mm256_maskstore_epi32(p, mask(count), v); }
    // e^x within 2 ulp of float32; 0 and infinity beyond its range, NaN of NaN.
    static Register exp(Register x) {
        x = _mm256_min_ps(_mm256_set1_ps(exp_highest), _mm256_max_ps(_mm256_set1_ps(exp_lowest), x));
        const Register n =
            _mm256_round_ps(multiply(x, broadcast(log2_e)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        // 2^n as two factors, since n goes beyond the exponents of normal numbers.
        const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
        const auto power = [](__m256i k) {
            return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(k, _mm256_set1_epi32(127)), 23));
        };
        const Register near = exp_near_zero<FloatLanes>(reduce<FloatLanes>(x, n));
        return multiply(multiply(near, power(half)), power(_mm256_sub_epi32(whole, half)));
    }
    // `yes` where x > 0, else `no`.
    static Register where_positive_else(Register x, Register yes, Register no) {
        return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(x, zero(), _CMP_GT_OQ));
    }
    static Register divide(Register a, Register b) { return _mm256_div_ps(a, b); }
    static Register absolute(Register x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
    // out[0..3] = the sums of a, b, c and d.
    static void sum4(Register a, Register b, Register c, Register d, float* out) {
        const __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
    }
    // Weights of at most `lanes` heads in one register, and each feature's own of them.
    using Map = __m256i;
    static Map map(const int32_t* head) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(head)); }
    static Register load_weights(const float* p, int64_t heads) { return load_partial(p, heads); }
    static Register spread(Register weights, Map map) { return _mm256_permutevar8x32_ps(weights, map); }
    // Where `value` is more than `best`, or is NaN, it takes its place, and `at` that of `where`.
    static void take(Register& best, Index& where, Register value, Index at) {
        const Register better =
            _mm256_or_ps(_mm256_cmp_ps(value, best, _CMP_GT_OQ), _mm256_cmp_ps(value, value, _CMP_UNORD_Q));
        best = _mm256_blendv_ps(best, value, better);
        where = _mm256_blendv_epi8(where, at, _mm256_castps_si256(better));
    }
};

template <>
struct Lanes<float> : FloatLanes {};
template <>
struct Lanes<Bf16> : FloatLanes {};

template <>
struct Lanes<double> {
    using Register = __m256d;
    using Index = __m128i;
    static constexpr int64_t lanes = 4;

    static __m256i mask(int64_t count) {
        return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
    }
    static Register load(const double* p) { return _mm256_loadu_pd(p); }
    static Register load_partial(const double* p, int64_t count) { return _mm256_maskload_pd(p, mask(count)); }
    static void store(double* p, Register v) { _mm256_storeu_pd(p, v); }
    static void store_partial(double* p, Register v, int64_t count) { _mm256_maskstore_pd(p, mask(count), v); }
    static Register zero() { return _mm256_setzero_pd(); }
    static Register broadcast(double v) { return _mm256_set1_pd(v); }
    static Register add(Register a, Register b) { return _mm256_add_pd(a, b); }
    static Register multiply(Register a, Register b) { return _mm256_mul_pd(a, b); }
    static Register multiply_add(Register a, Register b, Register c) { return _mm256_fmadd_pd(a, b, c); }
    static double sum(Register v) {
        const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
        return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
    }
    static void sum4(Register a, Register b, Register c, Register d, double* out) {
        out[0] = sum(a), out[1] = sum(b), out[2] = sum(c), out[3] = sum(d);
    }

    // Every weight moves as two halves.
    using Map = __m256i;
    static Map map(const int32_t* head) {
        return _mm256_setr_epi32(2 * head[0], 2 * head[0] + 1, 2 * head[1], 2 * head[1] + 1, 2 * head[2],
                                 2 * head[2] + 1, 2 * head[3], 2 * head[3] + 1);
    }
    static Register load_weights(const double* p, int64_t heads) { return load_partial(p, heads); }
    static Register spread(Register weights, Map map) {
        return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(weights), map));
    }
    static Index index(int32_t v) { return _mm_set1_epi32(v); }
    static void store(int32_t* p, Index v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
    static void store_partial(int32_t* p, Index v, int64_t count) {
        int32_t whole[lanes];
        store(whole, v);
        std::copy(whole, whole + count, p);
    }
    static void take(Register& best, Index& where, Register value, Index at) {
        const Register better =
            _mm256_or_pd(_mm256_cmp_pd(value, best, _CMP_GT_OQ), _mm256_cmp_pd(value, value, _CMP_UNORD_Q));
        best = _mm256_blendv_pd(best, value, better);
        const __m256 wide = _mm256_castpd_ps(better);  // every lane twice: keep one half of each
        const __m128 narrow = _mm_shuffle_ps(_mm256_castps256_ps128(wide), _mm256_extractf128_ps(wide, 1), 0b10001000);
        where = _mm_blendv_epi8(where, at, _mm_castps_si128(narrow));
    }
};

template <class T>
struct RingLanes : ring::Vector<T> {
    using typename ring::Vector<T>::Register;
    using Map = int;
    static Register multiply_add(Register a, Register b, Register c) {
        return ring::Vector<T>::add(ring::Vector<T>::multiply(a, b), c);
    }
};
template <>
struct Lanes<uint32_t> : RingLanes<uint32_t> {};
template <>
struct Lanes<uint64_t> : RingLanes<uint64_t> {};

}  // namespace
}  // namespace moiety::graph
