// Products of the features at both ends of every edge, head by head:
//
//     s_{e,h} = <x_{i,h}, y_{c_e,h}>   for the edges e of every row i
//
// the gradient of spmm's weights among others. float32, float64; bfloat16 features give float32 products. A row's
// features stay in registers while the sources of its edges pass by, several at a time, so that their sums are taken
// across lanes together.
#pragma once

#include "graph/csr.hpp"
#include "graph/spmm.hpp"

namespace moiety::graph {

// x: rows x heads x head_width, y: columns x heads x head_width, result: edges x heads. threads <= 0:
// default_threads().
template <class T, class I>
void sddmm(const Csr<I>& a, const T* x, const T* y, Weight<T>* result, int64_t heads, int64_t head_width, int threads);

}  // namespace moiety::graph
