// The kernels of the matrix product over Vector<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include "ring/gemm_kernels.hpp"

namespace moiety::ring {
namespace {

// Writes or adds a register tile to C.
template <class T, int Rows, int Vectors>
inline void put(const typename Vector<T>::Register (&sum)[Rows][Vectors], T* c, int64_t ldc, int64_t n,
                bool accumulate) {
    using V = Vector<T>;
    const int64_t tail = n - (Vectors - 1) * V::lanes;
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            T* target = c + i * ldc + v * V::lanes;
            if (v + 1 < Vectors || tail == V::lanes)
                V::store(target, accumulate ? V::add(V::load(target), sum[i][v]) : sum[i][v]);
            else
                V::store_partial(target, accumulate ? V::add(V::load_partial(target, tail), sum[i][v]) : sum[i][v],
                                 tail);
        }
}

template <class T, int Rows, int Vectors>
inline void put_totals(const typename Vector<T>::Accumulator (&sum)[Rows][Vectors], T* c, int64_t ldc, int64_t n,
                       bool accumulate) {
    typename Vector<T>::Register total[Rows][Vectors];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) total[i][v] = Vector<T>::total(sum[i][v]);
    put<T, Rows, Vectors>(total, c, ldc, n, accumulate);
}

// The register tile: Rows x Vectors accumulators live in registers while p runs over the depth. Each step loads Vectors
// vectors of B and one column of A once, so the multiplier and not the load ports sets the pace. Every loop over an
// array of registers is unrolled by command: otherwise the compiler keeps the array in memory.
template <class T, int Rows, int Vectors, bool Packed>
void plain_tile(int64_t depth, const T* a, int64_t a_stride, const T* b, T* c, int64_t ldc, int64_t n,
                bool accumulate) {
    using V = Vector<T>;
    typename V::Accumulator sum[Rows][Vectors];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[i][v] = V::empty();
    for (int64_t p = 0; p < depth; ++p) {
        typename V::Factor factor[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) factor[v] = V::factor(V::load(b + v * V::lanes));
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i) {
            const auto entry = V::broadcast(Packed ? a[i] : a[i * a_stride]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) V::multiply_add(sum[i][v], entry, factor[v]);
        }
        a += Packed ? V::tile_rows : 1;
        b += V::tile_vectors * V::lanes;
    }
    put_totals<T, Rows, Vectors>(sum, c, ldc, n, accumulate);
}

// The same product by Winograd's inner product (IEEE Trans. Computers C-17, 1968), which holds in any commutative ring:
//
//     sum_t a[2t]*b[2t] + a[2t+1]*b[2t+1]
//         = sum_t (a[2t] + b[2t+1]) * (a[2t+1] + b[2t]) - sum_t a[2t]*a[2t+1] - sum_t b[2t]*b[2t+1]
//
// It halves the multiplications and keeps the number of operations: additions run on every vector port, multiplications
// on half of them or fewer. The corrections depend on one operand each; packing puts them, negated, behind the panel.
template <class T, int Rows, int Vectors>
void paired_tile(int64_t depth, const T* a, int64_t, const T* b, T* c, int64_t ldc, int64_t n, bool accumulate) {
    using V = Vector<T>;
    constexpr int64_t columns = V::tile_vectors * V::lanes;
    const int64_t pairs = (depth + 1) / 2;
    const T *a_correction = a + 2 * pairs * V::tile_rows, *b_correction = b + 2 * pairs * columns;
    typename V::Accumulator sum[Rows][Vectors];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
            sum[i][v] = V::start(V::add(V::broadcast(a_correction[i]), V::load(b_correction + v * V::lanes)));
    for (int64_t t = 0; t < pairs; ++t) {
        typename V::Register even[Vectors], odd[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            even[v] = V::load(b + v * V::lanes);
            odd[v] = V::load(b + columns + v * V::lanes);
        }
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i) {
            const auto first = V::broadcast(a[i]), second = V::broadcast(a[V::tile_rows + i]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v)
                V::multiply_add(sum[i][v], V::add(first, odd[v]), V::factor(V::add(second, even[v])));
        }
        a += 2 * V::tile_rows;
        b += 2 * columns;
    }
    put_totals<T, Rows, Vectors>(sum, c, ldc, n, accumulate);
}

template <class T>
using Tile = void (*)(int64_t, const T*, int64_t, const T*, T*, int64_t, int64_t, bool);

// Every tile shape, so that ragged edges do no idle work: [packed][vectors - 1][rows - 1].
template <class T>
struct Tiles {
    using V = Vector<T>;
    Tile<T> at[2][V::tile_vectors][V::tile_rows];

    template <int Vectors, int Rows>
    constexpr void fill() {
        at[0][Vectors - 1][Rows - 1] = plain_tile<T, Rows, Vectors, false>;
        if constexpr (V::paired)
            at[1][Vectors - 1][Rows - 1] = paired_tile<T, Rows, Vectors>;
        else
            at[1][Vectors - 1][Rows - 1] = plain_tile<T, Rows, Vectors, true>;
        if constexpr (Rows > 1) fill<Vectors, Rows - 1>();
        if constexpr (Rows == 1 && Vectors > 1) fill<Vectors - 1, V::tile_rows>();
    }
    constexpr Tiles() : at{} { fill<V::tile_vectors, V::tile_rows>(); }
};

template <class T>
constexpr Tiles<T> tiles;

template <class T>
void any_tile(int64_t depth, const T* a, int64_t a_stride, const T* b, T* c, int64_t ldc, int64_t m, int64_t n,
              bool accumulate) {
    const int64_t vectors = (n + Vector<T>::lanes - 1) / Vector<T>::lanes;
    tiles<T>.at[a_stride == 0][vectors - 1][m - 1](depth, a, a_stride, b, c, ldc, n, accumulate);
}

template <class T>
void pack_a(const T* a, int64_t row_stride, const int64_t* offset, int64_t count, int64_t depth, T* out) {
    constexpr int rows = Vector<T>::tile_rows;
    const int64_t packed = packed_depth(Vector<T>::paired, depth);
    if (count < rows || packed != depth)
        for (int64_t i = 0; i < rows * packed; ++i) out[i] = 0;
    for (int64_t p = 0; p < depth; ++p) {
        const T* column = a + (offset == nullptr ? p : offset[p]);
        if (count == rows)
            for (int i = 0; i < rows; ++i) out[p * rows + i] = column[i * row_stride];
        else
            for (int64_t i = 0; i < count; ++i) out[p * rows + i] = column[i * row_stride];
    }
    if constexpr (Vector<T>::paired) {
        T* correction = out + (packed - 1) * rows;
        for (int64_t p = 0; p < packed - 1; p += 2)
            for (int i = 0; i < rows; ++i) correction[i] -= out[p * rows + i] * out[(p + 1) * rows + i];
    }
}

// Copies the runs of rows [0, depth) of B into a panel.
template <class T>
inline void gather(const T* b, const int64_t* offset, int64_t depth, const Run* runs, int64_t run_count, T* out) {
    using V = Vector<T>;
    constexpr int64_t columns = V::tile_vectors * V::lanes;
    for (int64_t p = 0; p < depth; ++p)
        // In order of columns: the zeros that a partial vector leaves behind it are overwritten by the next run.
        for (int64_t r = 0; r < run_count; ++r) {
            const T* source = b + offset[p] + runs[r].base;
            T* target = out + p * columns + runs[r].column;
            int64_t j = 0;
            for (; j + V::lanes <= runs[r].length; j += V::lanes) V::store(target + j, V::load(source + j));
            if (j < runs[r].length) V::store(target + j, V::load_partial(source + j, runs[r].length - j));
        }
}

template <class T>
void pack_b(const T* b, const int64_t* offset, int64_t depth, const Run* runs, int64_t run_count, T* out) {
    using V = Vector<T>;
    constexpr int vectors = V::tile_vectors;
    constexpr int64_t columns = vectors * V::lanes;
    // A panel that is one whole run needs no detour through memory for its corrections.
    const bool whole = run_count == 1 && runs->length == columns;
    const int64_t pairs = depth / 2;
    if (!whole) gather(b, offset, depth, runs, run_count, out);
    typename V::Register correction[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) correction[v] = V::zero();
    for (int64_t t = 0; t < pairs && (whole || V::paired); ++t) {
        T* target = out + 2 * t * columns;
        const T* even = whole ? b + offset[2 * t] + runs->base : target;
        const T* odd = whole ? b + offset[2 * t + 1] + runs->base : target + columns;
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            const auto first = V::load(even + v * V::lanes), second = V::load(odd + v * V::lanes);
            if (whole) {
                V::store(target + v * V::lanes, first);
                V::store(target + columns + v * V::lanes, second);
            }
            if constexpr (V::paired) correction[v] = V::subtract(correction[v], V::multiply(first, second));
        }
    }
    if (depth % 2 != 0) {
        T* target = out + (depth - 1) * columns;
        if (whole) gather(b, offset + depth - 1, 1, runs, 1, target);
        // An odd last step is paired with zeros, which correct nothing.
        if constexpr (V::paired)
            for (int v = 0; v < vectors; ++v) V::store(target + columns + v * V::lanes, V::zero());
    }
    if constexpr (V::paired)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) V::store(out + (depth + 1) / 2 * 2 * columns + v * V::lanes, correction[v]);
}

// Rows of C stay in the first-level cache, one stretch of columns at a time, while four rows of B stream past.
template <class T, int Rows>
void few_rows_stretch(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t n, int64_t k) {
    using V = Vector<T>;
    constexpr int depth = 4;
    const T zeros[depth] = {};
    for (int64_t p = 0; p < k; p += depth) {
        typename V::Register entry[Rows][depth];
        const T* line[depth];
        for (int q = 0; q < depth; ++q) line[q] = p + q < k ? b + (p + q) * ldb : b;
        for (int i = 0; i < Rows; ++i)
            for (int q = 0; q < depth; ++q) entry[i][q] = V::broadcast(p + q < k ? a[i * lda + p + q] : zeros[q]);
        int64_t j = 0;
        for (; j + V::lanes <= n; j += V::lanes) {
            typename V::Register sum[Rows];
            for (int i = 0; i < Rows; ++i) sum[i] = V::load(c + i * ldc + j);
            for (int q = 0; q < depth; ++q) {
                const auto factor = V::load(line[q] + j);
                for (int i = 0; i < Rows; ++i) sum[i] = V::add(sum[i], V::multiply(entry[i][q], factor));
            }
            for (int i = 0; i < Rows; ++i) V::store(c + i * ldc + j, sum[i]);
        }
        if (j < n)
            for (int i = 0; i < Rows; ++i) {
                auto sum = V::load_partial(c + i * ldc + j, n - j);
                for (int q = 0; q < depth; ++q)
                    sum = V::add(sum, V::multiply(entry[i][q], V::load_partial(line[q] + j, n - j)));
                V::store_partial(c + i * ldc + j, sum, n - j);
            }
    }
}

template <class T>
void few_rows(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
              bool accumulate) {
    constexpr int64_t stretch = 512;
    for (int64_t j = 0; j < n; j += stretch) {
        const int64_t count = n - j < stretch ? n - j : stretch;
        if (!accumulate)
            for (int64_t i = 0; i < m; ++i)
                for (int64_t x = 0; x < count; ++x) c[i * ldc + j + x] = 0;
        switch (m) {
            case 1: few_rows_stretch<T, 1>(a, lda, b + j, ldb, c + j, ldc, count, k); break;
            case 2: few_rows_stretch<T, 2>(a, lda, b + j, ldb, c + j, ldc, count, k); break;
            case 3: few_rows_stretch<T, 3>(a, lda, b + j, ldb, c + j, ldc, count, k); break;
            default: few_rows_stretch<T, 4>(a, lda, b + j, ldb, c + j, ldc, count, k); break;
        }
    }
}

template <class T>
T lanes_sum(typename Vector<T>::Register v) {
    T lane[Vector<T>::lanes];
    Vector<T>::store(lane, v);
    T total = 0;
    for (T value : lane) total += value;
    return total;
}

// Four rows of A against all columns: inner products with the depth along the lanes.
template <class T, int Rows, int Columns>
void few_columns_rows(const T* a, int64_t lda, const T* columns, T* c, int64_t ldc, int64_t k, bool accumulate) {
    using V = Vector<T>;
    typename V::Accumulator sum[Rows][Columns];
    for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < Columns; ++j) sum[i][j] = V::empty();
    for (int64_t p = 0; p < k; p += V::lanes) {
        const bool whole = p + V::lanes <= k;
        typename V::Factor factor[Columns];
        for (int j = 0; j < Columns; ++j)
            factor[j] = V::factor(whole ? V::load(columns + j * k + p) : V::load_partial(columns + j * k + p, k - p));
        for (int i = 0; i < Rows; ++i) {
            const auto entry = whole ? V::load(a + i * lda + p) : V::load_partial(a + i * lda + p, k - p);
            for (int j = 0; j < Columns; ++j) V::multiply_add(sum[i][j], entry, factor[j]);
        }
    }
    for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < Columns; ++j) {
            const T total = lanes_sum<T>(V::total(sum[i][j]));
            c[i * ldc + j] = accumulate ? c[i * ldc + j] + total : total;
        }
}

template <class T, int Columns>
void few_columns_of(const T* a, int64_t lda, const T* columns, T* c, int64_t ldc, int64_t m, int64_t k,
                    bool accumulate) {
    int64_t i = 0;
    for (; i + 4 <= m; i += 4)
        few_columns_rows<T, 4, Columns>(a + i * lda, lda, columns, c + i * ldc, ldc, k, accumulate);
    for (; i < m; ++i) few_columns_rows<T, 1, Columns>(a + i * lda, lda, columns, c + i * ldc, ldc, k, accumulate);
}

template <class T>
void few_columns(const T* a, int64_t lda, const T* columns, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
                 bool accumulate) {
    switch (n) {
        case 1: return few_columns_of<T, 1>(a, lda, columns, c, ldc, m, k, accumulate);
        case 2: return few_columns_of<T, 2>(a, lda, columns, c, ldc, m, k, accumulate);
        case 3: return few_columns_of<T, 3>(a, lda, columns, c, ldc, m, k, accumulate);
        default: return few_columns_of<T, 4>(a, lda, columns, c, ldc, m, k, accumulate);
    }
}

// `Vectors` vectors of a row, `last` elements in the last of them.
template <class T, int Vectors>
void weighted_stretch(const T* weight, const T* const* source, int64_t taps, T* y, int64_t x, int64_t last,
                      bool accumulate) {
    using V = Vector<T>;
    const bool whole = last == V::lanes;
    typename V::Accumulator sum[1][Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[0][v] = V::empty();
    for (int64_t t = 0; t < taps; ++t) {
        const typename V::Factor factor = V::factor(V::broadcast(weight[t]));
        const T* at = source[t] + x;
#pragma GCC unroll 8
        for (int v = 0; v + 1 < Vectors; ++v) V::multiply_add(sum[0][v], V::load(at + v * V::lanes), factor);
        at += (Vectors - 1) * V::lanes;
        V::multiply_add(sum[0][Vectors - 1], whole ? V::load(at) : V::load_partial(at, last), factor);
    }
    put_totals<T, 1, Vectors>(sum, y + x, 0, (Vectors - 1) * V::lanes + last, accumulate);
}

template <class T>
void weighted_rows(const T* weight, const T* const* source, int64_t taps, T* y, int64_t n, bool accumulate) {
    constexpr int lanes = Vector<T>::lanes;
    int64_t x = 0;
    for (; n - x > 8 * lanes; x += 8 * lanes) weighted_stretch<T, 8>(weight, source, taps, y, x, lanes, accumulate);
    const int64_t vectors = (n - x + lanes - 1) / lanes, last = n - x - (vectors - 1) * lanes;
    switch (vectors) {
        case 0: return;
        case 1: return weighted_stretch<T, 1>(weight, source, taps, y, x, last, accumulate);
        case 2: return weighted_stretch<T, 2>(weight, source, taps, y, x, last, accumulate);
        case 3: return weighted_stretch<T, 3>(weight, source, taps, y, x, last, accumulate);
        case 4: return weighted_stretch<T, 4>(weight, source, taps, y, x, last, accumulate);
        case 5: return weighted_stretch<T, 5>(weight, source, taps, y, x, last, accumulate);
        case 6: return weighted_stretch<T, 6>(weight, source, taps, y, x, last, accumulate);
        case 7: return weighted_stretch<T, 7>(weight, source, taps, y, x, last, accumulate);
        default: return weighted_stretch<T, 8>(weight, source, taps, y, x, last, accumulate);
    }
}

template <class T>
constexpr GemmKernels<T> gemm_table{Vector<T>::paired,
                                    Vector<T>::tile_rows,
                                    Vector<T>::tile_vectors * Vector<T>::lanes,
                                    pack_a<T>,
                                    pack_b<T>,
                                    any_tile<T>,
                                    few_rows<T>,
                                    few_columns<T>,
                                    weighted_rows<T>};

}  // namespace
}  // namespace moiety::ring
