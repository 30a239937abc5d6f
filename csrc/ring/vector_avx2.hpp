// 256-bit vectors of ring elements. Included only by the _avx2.cpp files: everything has internal linkage, so that no
// function compiled for this instruction set can replace one of the same name elsewhere at link time.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace moiety::ring {
namespace {

// Lanes [0, count) of a masked load or store are active.
inline __m256i lane_mask(uint32_t, int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256i lane_mask(uint64_t, int64_t count) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}

template <class T>
struct Vector {
    using Register = __m256i;
    static constexpr int lanes = 32 / sizeof(T);
    static constexpr bool wide = sizeof(T) == 8;

    static Register load(const T* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static void store(T* p, Register v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    // The first `count` (1..lanes) elements; the other lanes are zero, or left alone in memory.
    static Register load_partial(const T* p, int64_t count) {
        const Register mask = lane_mask(T{}, count);
        if constexpr (wide)
            return _mm256_maskload_epi64(reinterpret_cast<const long long*>(p), mask);
        else
            return _mm256_maskload_epi32(reinterpret_cast<const int*>(p), mask);
    }
    static void store_partial(T* p, Register v, int64_t count) {
        const Register mask = lane_mask(T{}, count);
        if constexpr (wide)
            _mm256_maskstore_epi64(reinterpret_cast<long long*>(p), mask, v);
        else
            _mm256_maskstore_epi32(reinterpret_cast<int*>(p), mask, v);
    }
    static Register zero() { return _mm256_setzero_si256(); }
    static Register broadcast(T value) {
        if constexpr (wide)
            return _mm256_set1_epi64x(static_cast<long long>(value));
        else
            return _mm256_set1_epi32(static_cast<int>(value));
    }
    static Register add(Register a, Register b) {
        if constexpr (wide)
            return _mm256_add_epi64(a, b);
        else
            return _mm256_add_epi32(a, b);
    }
    static Register subtract(Register a, Register b) {
        if constexpr (wide)
            return _mm256_sub_epi64(a, b);
        else
            return _mm256_sub_epi32(a, b);
    }
    // With a = a1*2^32 + a0 and b alike: a*b = a0*b0 + (a0*b1 + a1*b0)*2^32 mod 2^64.
    static Register multiply(Register a, Register b) {
        if constexpr (wide) {
            const Register cross = _mm256_mullo_epi32(a, _mm256_shuffle_epi32(b, 0xb1));
            const Register sum = _mm256_add_epi64(cross, _mm256_srli_epi64(cross, 32));
            return _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64(sum, 32));
        } else {
            return _mm256_mullo_epi32(a, b);
        }
    }
    static Register shift_left(Register a, __m128i bits) {
        if constexpr (wide)
            return _mm256_sll_epi64(a, bits);
        else
            return _mm256_sll_epi32(a, bits);
    }
    static Register shift_right_logical(Register a, __m128i bits) {
        if constexpr (wide)
            return _mm256_srl_epi64(a, bits);
        else
            return _mm256_srl_epi32(a, bits);
    }
    static Register shift_right_arithmetic(Register a, __m128i bits) {
        if constexpr (wide) {
            const Register sign = _mm256_set1_epi64x(INT64_MIN);
            return _mm256_sub_epi64(_mm256_srl_epi64(_mm256_xor_si256(a, sign), bits), _mm256_srl_epi64(sign, bits));
        } else {
            return _mm256_sra_epi32(a, bits);
        }
    }

    // A running sum of products. For 64-bit elements the two kinds of partial products of `multiply` are summed apart,
    // the crossed ones in 32-bit lanes where their overflow does no harm, so that the shifts happen once, in `total`.
    struct Factor {
        Register value, swapped;
    };
    struct Accumulator {
        Register low, cross;
    };
    static Factor factor(Register b) { return {b, wide ? _mm256_shuffle_epi32(b, 0xb1) : b}; }
    static Accumulator empty() { return {zero(), zero()}; }
    static void multiply_add(Accumulator& sum, Register a, const Factor& b) {
        if constexpr (wide) {
            sum.low = _mm256_add_epi64(sum.low, _mm256_mul_epu32(a, b.value));
            sum.cross = _mm256_add_epi32(sum.cross, _mm256_mullo_epi32(a, b.swapped));
        } else {
            sum.low = _mm256_add_epi32(sum.low, _mm256_mullo_epi32(a, b.value));
        }
    }
    static Register total(const Accumulator& sum) {
        if constexpr (wide) {
            const Register cross = _mm256_add_epi64(sum.cross, _mm256_srli_epi64(sum.cross, 32));
            return _mm256_add_epi64(sum.low, _mm256_slli_epi64(cross, 32));
        } else {
            return sum.low;
        }
    }

    // Rows and vectors of the register tile of a matrix product: more accumulators (two of a kind for 64-bit elements)
    // would not leave room among 16 registers for the operands. Winograd's inner product has too little room as well.
    static constexpr bool paired = false;
    static constexpr int tile_rows = 4;
    static constexpr int tile_vectors = wide ? 1 : 2;
};

}  // namespace
}  // namespace moiety::ring
