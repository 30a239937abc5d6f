// Graph attention (Velickovic et al., arXiv 1710.10903, section 2.1), aggregation and gradient, without anything of the
// size edges x features, or even edges x heads:
//
//     z_e     = score_source_{c_e} + score_target_i      for the edges e of row i, head by head
//     alpha_e = exp(l(z_e) - L_i),   l the leaky ReLU,   L_i = log sum_{e in row i} exp(l(z_e))
//     y_i     = sum_{e in row i} alpha_e x_{c_e}
//
// A row's scores are formed and raised in a buffer of its own length. The gradient recomputes alpha from L. With
// g_e = <dy_i, x_{c_e}> and delta_i = sum_e alpha_e g_e = <dy_i, y_i>,
//
//     dz_e = alpha_e (g_e - delta_i) l'(z_e),   dx_j = sum_{e from j} alpha_e dy_i,   dscore_source_j = sum_{e from j}
//     dz_e
//
// in one pass over edges by source. A second pass over edges by target is not needed for dscore_target_i = sum_e dz_e:
// l' is 1 on the edges P_i of positive z and s on the others, the sum over all edges without l' is zero, so
//
//     dscore_target_i = (1 - s) (<dy_i, p_i> - delta_i q_i),   p_i = sum_{P_i} alpha_e x_{c_e},   q_i = sum_{P_i}
//     alpha_e
//
// where p and q are of the size of nodes and come out of the forward pass. float32 and bfloat16 features with float32
// scores; float64 by the scalar kernels.
#pragma once

#include "graph/csr.hpp"
#include "graph/spmm.hpp"

namespace moiety::graph {

struct GatShape {
    int64_t heads, head_width;
    double slope;  // of the leaky ReLU below zero; not negative

    int64_t width() const { return heads * head_width; }
};

// What the gradient needs, per target; all null when no gradient is wanted.
template <class T>
struct GatSaved {
    Weight<T>* log_sum = nullptr;   // L: rows x heads
    Weight<T>* positive = nullptr;  // p: rows x heads x head_width
    Weight<T>* share = nullptr;     // q: rows x heads
};

// x: columns x width, score_source: columns x heads, score_target: rows x heads, y: rows x width; a row without edges
// gives zero. threads <= 0: default_threads().
template <class T, class I>
void gat_forward(const Csr<I>& a, const GatShape& shape, const T* x, const Weight<T>* score_source,
                 const Weight<T>* score_target, T* y, const GatSaved<T>& saved, int threads);

// `by_source` is the transpose of the pattern; dx like x, dscore_source and dscore_target like the scores.
template <class T, class I>
void gat_backward(const Csr<I>& by_source, const GatShape& shape, const T* x, const Weight<T>* score_source,
                  const Weight<T>* score_target, const T* y, const GatSaved<T>& saved, const T* dy, T* dx,
                  Weight<T>* dscore_source, Weight<T>* dscore_target, int threads);

}  // namespace moiety::graph
