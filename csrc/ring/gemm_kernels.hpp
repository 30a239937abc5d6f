// The function table through which gemm.cpp, conv.cpp and blocked.cpp call the kernels of one instruction set.
#pragma once

#include <cstdint>

namespace moiety::ring {

// `length` consecutive columns of B, packed at `column` of a panel: entry (p, j) is at b[offset[p] + base + j].
struct Run {
    int64_t column, length, base;
};

// Steps p that a packed panel of either operand holds: for paired tiles an even number and one of corrections.
inline constexpr int64_t packed_depth(bool paired, int64_t depth) { return paired ? (depth + 1) / 2 * 2 + 1 : depth; }

template <class T>
struct GemmKernels {
    bool paired;  // packed operands are multiplied by Winograd's inner product
    // A tile is at most `rows` x `columns` of C. Packed A holds panels of `rows` rows, packed B panels of `columns`
    // columns, both with the depth p outermost inside a panel, packed_depth() steps of it.
    int64_t rows, columns;

    // One panel of A: out[p*rows + i] = a[i*row_stride + (offset ? offset[p] : p)], zero for the rows past `count`.
    void (*pack_a)(const T* a, int64_t row_stride, const int64_t* offset, int64_t count, int64_t depth, T* out);
    // One panel of B; the columns past the last run keep unspecified values, which no tile lets into C.
    // May write up to one vector past the panel's end.
    void (*pack_b)(const T* b, const int64_t* offset, int64_t depth, const Run* runs, int64_t run_count, T* out);
    // c[i*ldc + j] (+)= sum_p A[i, p] * b[p*columns + j] for i < m <= rows and j < n <= columns. `a` is a packed panel
    // when a_stride = 0, else row-major with that row stride.
    void (*tile)(int64_t depth, const T* a, int64_t a_stride, const T* b, T* c, int64_t ldc, int64_t m, int64_t n,
                 bool accumulate);

    // Products too thin to pay for packing. few_rows: m <= 4, B is streamed along its rows. few_columns: n <= 4,
    // `columns` holds the n columns of B one after another, each k long, and A is streamed along its rows.
    void (*few_rows)(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n,
                     int64_t k, bool accumulate);
    void (*few_columns)(const T* a, int64_t lda, const T* columns, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
                        bool accumulate);
    // y[x] = sum over taps t of weight[t] * source[t][x], or += : a row of a depthwise convolution.
    void (*weighted_rows)(const T* weight, const T* const* source, int64_t taps, T* y, int64_t n, bool accumulate);
};

template <class T>
const GemmKernels<T>& gemm_avx2();
template <class T>
const GemmKernels<T>& gemm_avx512();

// The table of the active ISA level, or null where only the scalar reference applies.
template <class T>
const GemmKernels<T>* gemm_kernels();

}  // namespace moiety::ring
