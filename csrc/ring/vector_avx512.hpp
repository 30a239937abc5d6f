// 512-bit vectors of ring elements. Included only by the _avx512.cpp files: everything has internal linkage, so that no
// function compiled for this instruction set can replace one of the same name elsewhere at link time.
#pragma once

// GCC 12 takes the undefined pass-through operand inside its own intrinsics for a mistake of ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>

#include <cstdint>

namespace moiety::ring {
namespace {

template <class T>
struct Vector {
    using Register = __m512i;
    static constexpr int lanes = 64 / sizeof(T);
    static constexpr bool wide = sizeof(T) == 8;

    static Register load(const T* p) { return _mm512_loadu_si512(p); }
    static void store(T* p, Register v) { _mm512_storeu_si512(p, v); }
    // The first `count` (1..lanes) elements; the other lanes are zero, or left alone in memory.
    static Register load_partial(const T* p, int64_t count) {
        const uint32_t mask = (2u << (count - 1)) - 1;
        if constexpr (wide)
            return _mm512_maskz_loadu_epi64(static_cast<__mmask8>(mask), p);
        else
            return _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask), p);
    }
    static void store_partial(T* p, Register v, int64_t count) {
        const uint32_t mask = (2u << (count - 1)) - 1;
        if constexpr (wide)
            _mm512_mask_storeu_epi64(p, static_cast<__mmask8>(mask), v);
        else
            _mm512_mask_storeu_epi32(p, static_cast<__mmask16>(mask), v);
    }
    static Register zero() { return _mm512_setzero_si512(); }
    static Register broadcast(T value) {
        if constexpr (wide)
            return _mm512_set1_epi64(static_cast<long long>(value));
        else
            return _mm512_set1_epi32(static_cast<int>(value));
    }
    static Register add(Register a, Register b) {
        if constexpr (wide)
            return _mm512_add_epi64(a, b);
        else
            return _mm512_add_epi32(a, b);
    }
    static Register subtract(Register a, Register b) {
        if constexpr (wide)
            return _mm512_sub_epi64(a, b);
        else
            return _mm512_sub_epi32(a, b);
    }
    static Register multiply(Register a, Register b) {
        if constexpr (wide)
            return _mm512_mullo_epi64(a, b);
        else
            return _mm512_mullo_epi32(a, b);
    }
    static Register shift_left(Register a, __m128i bits) {
        if constexpr (wide)
            return _mm512_sll_epi64(a, bits);
        else
            return _mm512_sll_epi32(a, bits);
    }
    static Register shift_right_logical(Register a, __m128i bits) {
        if constexpr (wide)
            return _mm512_srl_epi64(a, bits);
        else
            return _mm512_srl_epi32(a, bits);
    }
    static Register shift_right_arithmetic(Register a, __m128i bits) {
        if constexpr (wide)
            return _mm512_sra_epi64(a, bits);
        else
            return _mm512_sra_epi32(a, bits);
    }

    // A running sum of products.
    using Factor = Register;
    using Accumulator = Register;
    static Factor factor(Register b) { return b; }
    static Accumulator empty() { return zero(); }
    static Accumulator start(Register value) { return value; }
    static void multiply_add(Accumulator& sum, Register a, Factor b) { sum = add(sum, multiply(a, b)); }
    static Register total(Accumulator sum) { return sum; }

    // Rows and vectors of the register tile of a matrix product: 16 of 32 registers accumulate and the others hold the
    // two steps of B and the sums on their way, so that nothing spills. A tile is multiplied by Winograd's inner
    // product since the 64-bit multiplication occupies few ports (Zen 4) or several operations (Intel), additions
    // neither.
    static constexpr bool paired = true;
    static constexpr int tile_rows = 8;
    static constexpr int tile_vectors = 2;
};

}  // namespace
}  // namespace moiety::ring
