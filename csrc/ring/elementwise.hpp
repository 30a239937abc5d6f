// Elementwise arithmetic in Z_2^32 or Z_2^64 (T = uint32_t or uint64_t), sums of it, shifts.
//
// All spans of one call have the same size; `out` may be one of the inputs but must not overlap them otherwise.
// threads <= 0: default_threads(). These loops are bound by memory, so arrays that fit a cache run on one thread.
#pragma once

#include <cstdint>
#include <span>

namespace moiety::ring {

// out = a + b, a - b, a * b
template <class T>
void add(std::span<const T> a, std::span<const T> b, std::span<T> out, int threads);
template <class T>
void subtract(std::span<const T> a, std::span<const T> b, std::span<T> out, int threads);
template <class T>
void multiply(std::span<const T> a, std::span<const T> b, std::span<T> out, int threads);
// out = a * b + c
template <class T>
void multiply_add(std::span<const T> a, std::span<const T> b, std::span<const T> c, std::span<T> out, int threads);
// out = a * factor
template <class T>
void scale(std::span<const T> a, T factor, std::span<T> out, int threads);
// out = -a
template <class T>
void negate(std::span<const T> a, std::span<T> out, int threads);

// out = a << bits; a >> bits filled with zeros; a >> bits filled with the sign bit. 0 <= bits < the width of T.
template <class T>
void shift_left(std::span<const T> a, int bits, std::span<T> out, int threads);
template <class T>
void shift_right_logical(std::span<const T> a, int bits, std::span<T> out, int threads);
template <class T>
void shift_right_arithmetic(std::span<const T> a, int bits, std::span<T> out, int threads);

// out[o, i] = sum over j of x[o, j, i]: x is outer x n x inner, out is outer x inner. n = 0 gives zeros.
template <class T>
void sum(std::span<const T> x, int64_t outer, int64_t n, int64_t inner, std::span<T> out, int threads);

}  // namespace moiety::ring
