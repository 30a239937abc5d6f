// Gated sums, as in residual gated graph networks (X. Bresson and T. Laurent, arXiv 1711.07553, equation 11):
//
//     sum_i  = sum_{e in row i} s(k_i + q_{c_e}) v_{c_e}      feature by feature, s(z) = 1 / (1 + e^{-z})
//     rise_i = sum_{e in row i} s'(k_i + q_{c_e}) v_{c_e}     s' = s (1 - s)
//
// without a buffer of edges x features. One function is both directions: with the gradient dy of the sum,
// dk_i = dy_i rise_i, and over the edges by source, with q in the place of k, k in that of q and dy in that of v, the
// sum is dv_j and v_j rise_j is dq_j. A row's sums stay in registers, so results do not depend on the threads. float32,
// float64.
#pragma once

#include "graph/csr.hpp"

namespace moiety::graph {

// own: rows x width; other, values: columns x width; sum, rise: rows x width, not overlapping the others. A row without
// edges gives zeros. threads <= 0: default_threads().
template <class T, class I>
void gated_sum(const Csr<I>& a, const T* own, const T* other, const T* values, T* sum, T* rise, int64_t width,
               int threads);

}  // namespace moiety::graph
