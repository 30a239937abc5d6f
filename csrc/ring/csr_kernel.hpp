// The kernel of the sparse product over Vector<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include "ring/csr_kernels.hpp"

namespace moiety::ring {
namespace {

// `Vectors` vectors of one row of Y; the last one is partial when `tail` < lanes.
template <class T, int Vectors>
inline void csr_row_piece(const CsrPattern& p, const T* values, const T* x, int64_t ldx, T* y, int64_t row,
                          int64_t tail, bool accumulate) {
    using V = Vector<T>;
    const bool whole = tail == V::lanes;
    typename V::Register sum[Vectors];
    for (int v = 0; v < Vectors; ++v)
        sum[v] = !accumulate                ? V::zero()
                 : v + 1 < Vectors || whole ? V::load(y + v * V::lanes)
                                            : V::load_partial(y + v * V::lanes, tail);
    for (int64_t e = p.row_start[row]; e < p.row_start[row + 1]; ++e) {
        const T* source = x + p.column[e] * ldx;
        const auto factor = V::broadcast(values == nullptr ? T{1} : values[e]);
        for (int v = 0; v < Vectors; ++v) {
            const auto entry = v + 1 < Vectors || whole ? V::load(source + v * V::lanes)
                                                        : V::load_partial(source + v * V::lanes, tail);
            sum[v] = V::add(sum[v], values == nullptr ? entry : V::multiply(factor, entry));
        }
    }
    for (int v = 0; v < Vectors; ++v)
        if (v + 1 < Vectors || whole)
            V::store(y + v * V::lanes, sum[v]);
        else
            V::store_partial(y + v * V::lanes, sum[v], tail);
}

template <class T>
void csr_rows(const CsrPattern& p, const T* values, const T* x, int64_t ldx, T* y, int64_t ldy, int64_t width,
              bool accumulate, int64_t begin, int64_t end) {
    constexpr int lanes = Vector<T>::lanes;
    for (int64_t i = begin; i < end; ++i) {
        T* target = y + i * ldy;
        int64_t j = 0;
        for (; j + 4 * lanes <= width; j += 4 * lanes)
            csr_row_piece<T, 4>(p, values, x + j, ldx, target + j, i, lanes, accumulate);
        for (; j < width; j += lanes)
            csr_row_piece<T, 1>(p, values, x + j, ldx, target + j, i, width - j < lanes ? width - j : lanes,
                                accumulate);
    }
}

}  // namespace
}  // namespace moiety::ring
