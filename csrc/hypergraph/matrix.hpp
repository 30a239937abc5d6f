// Matrices of a hypergraph on its nodes, in compressed rows: the Laplacian of one choice of pairs (hypergraph.hpp), and
// the fixed ones of the clique expansion,
//
//     clique   A_uv = sum over hyperedges with u and v of w_e, u != v
//     hgnn     D_v^-1/2 H W D_e^-1 H^T D_v^-1/2 (Feng et al., AAAI 2019, equation 10),
//              D_v the sums of w_e over the hyperedges of a node, D_e the sizes; a node of none has an empty row
//
// Row v is made by one thread from the hyperedges of v, or from the pairs alone where there are no mediators: entries
// of the same column are added up as one vector, or in a long row in a dense array, which the row's own columns clear
// again (merge.hpp), so that no sort, no hash and no atomic operation is needed. Columns come in the order in which
// they are met, the node's own loop first, which does not depend on the number of threads. O(entries before adding up).
#pragma once

#include <cstdint>

#include "hypergraph/hypergraph.hpp"

namespace moiety::hypergraph {

// At most so many entries: what `column` and `value` below must hold.
int64_t laplacian_capacity(const Hypergraph& h, const Rule& rule);
int64_t clique_capacity(const Hypergraph& h);

// row_start: nodes + 1. Returns the number of entries. T is float or double.
template <class T>
int64_t laplacian(const Hypergraph& h, const Rule& rule, const Pairs& pairs, int64_t* row_start, int32_t* column,
                  T* value, int threads);

template <class T>
int64_t clique(const Hypergraph& h, bool hgnn, int64_t* row_start, int32_t* column, T* value, int threads);

}  // namespace moiety::hypergraph
