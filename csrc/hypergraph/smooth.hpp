// y = L x without L: the product with the Laplacian of one choice of pairs (hypergraph.hpp), hyperedge by hyperedge.
//
//     z = D^-1/2 x
//     t_e = w_e sum of z over e,  b_e = w_e (z_s + z_i)                        with mediators; without: t_e = b_e, b_e
//     = 0 y_v = D_v^-1/2 (z_v + sum over e with v of (v an end of e ? t_e - w_e z_v : b_e))
//
// that is O(|e|) rows a hyperedge, where L has 2 (2 |e| - 3) entries. L is symmetric, so the same call on dy is the
// gradient of x. Two passes, over hyperedges and over nodes, each result owned by one thread and summed in the order of
// the pattern: results do not depend on the number of threads, and nothing is atomic. Beside the stars two rows of at
// most 256 bytes a hyperedge are allocated, and for x beyond the caches one a node, z, which is read at random from
// huge pages and spares D^-1/2 its own random reads; wider features go panel by panel.
//
// In Z_2^64 D^-1/2 and w are fixed-point numbers (in_ring), the sums exact modulo 2^64, and y carries three times their
// fraction bits more than x: the map is linear over the ring, so it may be applied to shares.
#pragma once

#include <cstdint>

#include "hypergraph/hypergraph.hpp"

namespace moiety::hypergraph {

// x, y: nodes x width, contiguous, not overlapping; T is float, double or uint64_t. threads <= 0: default_threads().
template <class T>
void smooth(const Hypergraph& h, const Stars<T>& stars, const T* x, T* y, int64_t width, int threads);

}  // namespace moiety::hypergraph
