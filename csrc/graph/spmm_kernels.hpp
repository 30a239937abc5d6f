// The kernels behind spmm.cpp, one table an instruction set: rows [begin, end) of the product.
#pragma once

#include "graph/spmm.hpp"

namespace moiety::graph {

// A panel of features: x and y point at its first one.
template <class T, class I>
struct SpmmTask {
    Csr<I> a;
    const Weight<T>* weight;  // null: ones
    int64_t heads;            // from one edge's weights to the next one's
    bool spread;              // a feature's weight is that of its head; else the first one counts for all
    int64_t head_width;       // features a head
    int64_t first;            // the panel's first feature, which says which head it begins in
    const T* x;
    int64_t ldx;
    T* y;
    int64_t ldy;
    int64_t width;
    bool mean = false;
    int32_t* argument = nullptr;  // with the stride of y
    bool least = false;

    int64_t head(int64_t feature) const { return (first + feature) / head_width; }
};

template <class T, class I>
struct SpmmKernels {
    int64_t most_heads;  // that one pass may spread
    void (*sum)(const SpmmTask<T, I>& task, int64_t begin, int64_t end);
    void (*extreme)(const SpmmTask<T, I>& task, int64_t begin, int64_t end);  // null for rings
};

template <class T, class I>
const SpmmKernels<T, I>& spmm_avx2();
template <class T, class I>
const SpmmKernels<T, I>& spmm_avx512();

}  // namespace moiety::graph
