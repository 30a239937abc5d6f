// The blocked matrix product behind gemm and conv: C[i, j] (+)= sum_p A[i, p] B[p, j] where B and C are reached through
// tables, so that a convolution needs no patch matrix: panels of it are gathered straight into cache.
//
// Blocking (Goto and van de Geijn, 2008): a block of B (depth x columns) is packed once and used by all rows; a block
// of A is packed into the second-level cache and used by all of that block's columns; the register tile streams one
// panel of each. Few columns never pay for packing A, so then the tile reads it where it lies.
#pragma once

#include <cstdint>
#include <span>

#include "ring/gemm_kernels.hpp"

namespace moiety::ring {

// Columns [column, column + length) of B and C, j counted from `column`:
// B[p, j] = b[b_offset[p] + b_base + j] and C[i, j] = c[i*c_row + c_base + j*c_step].
struct Segment {
    int64_t column, length, b_base, c_base;
};

template <class T>
struct BlockedProduct {
    int64_t m = 0, k = 0;
    const T* a = nullptr;  // A[i, p] = a[i*a_row + (a_offset ? a_offset[p] : p)]
    int64_t a_row = 0;
    const int64_t* a_offset = nullptr;
    const T* b = nullptr;
    const int64_t* b_offset = nullptr;
    T* c = nullptr;
    int64_t c_row = 0, c_step = 1;
    std::span<const Segment> segments;  // adjoining, in rising order of columns, from column 0
    bool accumulate = false;

    int64_t columns() const { return segments.empty() ? 0 : segments.back().column + segments.back().length; }
};

template <class T>
void blocked_product(const BlockedProduct<T>& product, const GemmKernels<T>& kernels, int threads);

}  // namespace moiety::ring
