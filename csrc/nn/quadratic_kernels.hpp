// The function table through which quadratic.cpp calls the kernels of one instruction set.
#pragma once

#include <cstdint>

#include "nn/quadratic.hpp"

namespace moiety::nn {

// Sums of dy x^2, dy x, dy and dy max(x, 0), in this order.
constexpr int quadratic_terms = 4;

// w1, w2, b, r of one channel.
struct Quadratic {
    float w1 = 0, w2 = 0, b = 0, r = 0;
};

// `run`: n elements of one channel. `rows`: n elements whose coefficients repeat with `period`, a multiple of `lanes`;
// `table` holds w1, w2, b and r, `period` each. Sums are added to: one of each, or a table of the same form. `hinge`
// says whether r is not all zero; `stream` writes past the cache, weakly ordered: the caller fences.
template <class T>
struct QuadraticKernels {
    int64_t lanes;
    void (*forward_run)(const T* x, T* y, int64_t n, const Quadratic& c, bool hinge, bool stream);
    void (*backward_run)(const T* x, const T* dy, T* dx, int64_t n, const Quadratic& c, bool hinge, bool stream,
                         double* sums);
    void (*forward_rows)(const T* x, T* y, int64_t n, int64_t period, const float* table, bool hinge, bool stream);
    // `scratch` holds quadratic_terms * period floats, whatever their values.
    void (*backward_rows)(const T* x, const T* dy, T* dx, int64_t n, int64_t period, const float* table, bool hinge,
                          bool stream, float* scratch, double* sums);
};

template <class T>
const QuadraticKernels<T>& quadratic_avx2();
template <class T>
const QuadraticKernels<T>& quadratic_avx512();

}  // namespace moiety::nn
