// Softmax over the edges that enter a node, head by head:
//
//     alpha_{e,h} = exp(s_{e,h} - m_{i,h}) / sum_{e' in row i} exp(s_{e',h} - m_{i,h}),   m the row's maximum
//     ds_{e,h}    = alpha_{e,h} (dalpha_{e,h} - sum_{e' in row i} alpha_{e',h} dalpha_{e',h})
//
// of scores (edges, heads); float32 and float64. A row's scores lie together, so where the heads divide a vector its
// lanes are folded by head once a row.
#pragma once

#include <cstdint>

namespace moiety::graph {

// threads <= 0: default_threads(). Source and result may be the same.
template <class T>
void edge_softmax(const int64_t* row_start, int64_t rows, int64_t heads, const T* scores, T* alpha, int threads);
template <class T>
void edge_softmax_backward(const int64_t* row_start, int64_t rows, int64_t heads, const T* alpha, const T* dalpha,
                           T* dscores, int threads);

}  // namespace moiety::graph
