// 512-bit vectors of every type that graphs compute in. Included only by the _avx512.cpp files: everything has internal
// linkage, so that no function compiled for this instruction set can replace one elsewhere.
#pragma once

#include "graph/exp.hpp"
#include "graph/spmm.hpp"
#include "nn/vector_avx512.hpp"
#include "ring/vector_avx512.hpp"

namespace moiety::graph {
namespace {

template <class T>
struct Lanes;

// float32, read from and written to float32 or bfloat16, with 32-bit numbers beside them.
struct FloatLanes : nn::Vector {
    using nn::Vector::store;
    using nn::Vector::store_partial;
    using Index = __m512i;
    static Index index(int32_t v) { return _mm512_set1_epi32(v); }
    static void store(int32_t* p, Index v) { _mm512_storeu_si512(p, v); }
    static void store_partial(int32_t* p, Index v, int64_t count) { _mm512_mask_storeu_epi32(p, mask(count), v); }
    // e^x within 2 ulp of float32; 0 and infinity beyond its range, NaN of NaN.
    static Register exp(Register x) {
        x = _mm512_min_ps(_mm512_set1_ps(exp_highest), _mm512_max_ps(_mm512_set1_ps(exp_lowest), x));
        const Register n = _mm512_roundscale_ps(multiply(x, broadcast(log2_e)), _MM_FROUND_TO_NEAREST_INT);
        return _mm512_scalef_ps(exp_near_zero<FloatLanes>(reduce<FloatLanes>(x, n)), n);
    }
    // `yes` where x > 0, else `no`.
    static Register where_positive_else(Register x, Register yes, Register no) {
        return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(x, zero(), _CMP_GT_OQ), yes);
    }
    static Register divide(Register a, Register b) { return _mm512_div_ps(a, b); }
    static Register absolute(Register x) { return _mm512_abs_ps(x); }
    // out[0..3] = the sums of a, b, c and d.
    static void sum4(Register a, Register b, Register c, Register d, float* out) {
        const auto half = [](Register v) {
            return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
        };
        const __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(half(a), half(b)), _mm256_hadd_ps(half(c), half(d)));
        _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
    }
    // Weights of at most `lanes` heads in one register, and each feature's own of them.
    using Map = __m512i;
    static Map map(const int32_t* head) { return _mm512_loadu_si512(head); }
    static Register load_weights(const float* p, int64_t heads) { return load_partial(p, heads); }
    static Register spread(Register weights, Map map) { return _mm512_permutexvar_ps(map, weights); }
    // Where `value` is more than `best`, or is NaN, it takes its place, and `at` that of `where`.
    static void take(Register& best, Index& where, Register value, Index at) {
        const __mmask16 better =
            _mm512_cmp_ps_mask(value, best, _CMP_GT_OQ) | _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
        best = _mm512_mask_mov_ps(best, better, value);
        where = _mm512_mask_mov_epi32(where, better, at);
    }
};

template <>
struct Lanes<float> : FloatLanes {};
template <>
struct Lanes<Bf16> : FloatLanes {};

template <>
struct Lanes<double> {
    using Register = __m512d;
    using Index = __m256i;
    static constexpr int64_t lanes = 8;

    static __mmask8 mask(int64_t count) { return static_cast<__mmask8>((1u << count) - 1); }
    static Register load(const double* p) { return _mm512_loadu_pd(p); }
    static Register load_partial(const double* p, int64_t count) { return _mm512_maskz_loadu_pd(mask(count), p); }
    static void store(double* p, Register v) { _mm512_storeu_pd(p, v); }
    static void store_partial(double* p, Register v, int64_t count) { _mm512_mask_storeu_pd(p, mask(count), v); }
    static Register zero() { return _mm512_setzero_pd(); }
    static Register broadcast(double v) { return _mm512_set1_pd(v); }
    static Register add(Register a, Register b) { return _mm512_add_pd(a, b); }
    static Register multiply(Register a, Register b) { return _mm512_mul_pd(a, b); }
    static Register multiply_add(Register a, Register b, Register c) { return _mm512_fmadd_pd(a, b, c); }
    static double sum(Register v) { return _mm512_reduce_add_pd(v); }
    static void sum4(Register a, Register b, Register c, Register d, double* out) {
        out[0] = sum(a), out[1] = sum(b), out[2] = sum(c), out[3] = sum(d);
    }

    using Map = __m512i;
    static Map map(const int32_t* head) {
        return _mm512_cvtepi32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(head)));
    }
    static Register load_weights(const double* p, int64_t heads) { return load_partial(p, heads); }
    static Register spread(Register weights, Map map) { return _mm512_permutexvar_pd(map, weights); }
    static Index index(int32_t v) { return _mm256_set1_epi32(v); }
    static void store(int32_t* p, Index v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    static void store_partial(int32_t* p, Index v, int64_t count) { _mm256_mask_storeu_epi32(p, mask(count), v); }
    static void take(Register& best, Index& where, Register value, Index at) {
        const __mmask8 better =
            _mm512_cmp_pd_mask(value, best, _CMP_GT_OQ) | _mm512_cmp_pd_mask(value, value, _CMP_UNORD_Q);
        best = _mm512_mask_mov_pd(best, better, value);
        where = _mm256_mask_mov_epi32(where, better, at);
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
