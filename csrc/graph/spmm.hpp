// The product of a graph with features, and its siblings with other reductions:
//
//     sum, mean   y_i = [1 / d_i] sum_{e in row i} w_e x_{c_e}
//     max, min    y_i = max_{e in row i} w_e x_{c_e}   feature by feature, with the edge that it came from
//
// in Z_2^32 and Z_2^64 (sum only), float32, float64 and bfloat16 (read and written; arithmetic is float32, rounded
// once). w is absent (ones), one number an edge, or one an edge and head: with H heads the features are (H, D) and head
// h of edge e counts w[e, h]. A row without edges gives zero, in every reduction, and -1 for its edge. NaN wins over
// numbers.
//
// A row's sum stays in registers while its edges pass by, in their order, so that results do not depend on the number
// of threads (schedule.hpp); sources a few edges ahead are prefetched, for their addresses are known and nothing else
// hides their latency. Where the sources are more than a cache keeps close and have edges enough to pay for it, panels
// of their features are first packed one behind the other onto huge pages (core/scratch.hpp), at the price of one copy
// of x: every source is then read in whole cache lines, and its address is found without a walk through page tables.
#pragma once

#include <cstdint>

#include "graph/csr.hpp"
#include "nn/quadratic.hpp"

namespace moiety::graph {

using nn::Bf16;

// Weights of bfloat16 features are float32: there is one of them where there are F features.
template <class T>
struct WeightOf {
    using type = T;
};
template <>
struct WeightOf<Bf16> {
    using type = float;
};
template <class T>
using Weight = typename WeightOf<T>::type;

// Weights (edges, heads), or null; `heads` divides the width.
template <class T>
struct EdgeWeights {
    const Weight<T>* values = nullptr;
    int64_t heads = 1;
};

// x: columns x width, y: rows x width, contiguous, not overlapping. `order` is null or says where a column's number in
// `a` lies in x: row order[k] of x holds source k. threads <= 0: default_threads().
template <class T, class I>
void spmm(const Csr<I>& a, const EdgeWeights<T>& weights, const I* order, const T* x, T* y, int64_t width, bool mean,
          int threads);

// `argument`, when it is not null, gets for every entry of y the position of its edge, or -1. Throws Error when there
// are more edges than 32 bits tell apart.
template <class T, class I>
void spmm_extreme(const Csr<I>& a, const EdgeWeights<T>& weights, const I* order, const T* x, T* y, int32_t* argument,
                  int64_t width, bool least, int threads);

// The gradient of spmm_extreme: dx_{c_e} += w_e dy_i wherever e is the argument of y_i; dx is float32 for bfloat16 and
// must hold zeros. dweight, when it is not null, holds zeros and gets x_{c_e} dy_i summed over features. Threads own
// features, not rows, so no two write to one place.
template <class T, class I>
void spmm_extreme_backward(const Csr<I>& a, const EdgeWeights<T>& weights, const T* x, const T* dy,
                           const int32_t* argument, Weight<T>* dx, Weight<T>* dweight, int64_t width, int threads);

}  // namespace moiety::graph
