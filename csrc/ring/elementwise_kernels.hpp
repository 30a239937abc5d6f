// The function table through which elementwise.cpp calls the kernels of one instruction set.
#pragma once

#include <cstdint>

namespace moiety::ring {

enum class Binary { add, subtract, multiply };
enum class Unary { scale, negate, shift_left, shift_right_logical, shift_right_arithmetic };

template <class T>
struct ElementwiseKernels {
    void (*binary)(Binary op, const T* a, const T* b, T* out, int64_t n);
    void (*multiply_add)(const T* a, const T* b, const T* c, T* out, int64_t n);
    // `operand` is the factor or the count of bits; negate ignores it.
    void (*unary)(Unary op, const T* a, T operand, T* out, int64_t n);
};

template <class T>
const ElementwiseKernels<T>& elementwise_avx2();
template <class T>
const ElementwiseKernels<T>& elementwise_avx512();

// The table of the active ISA level.
template <class T>
const ElementwiseKernels<T>& elementwise_kernels();

}  // namespace moiety::ring
