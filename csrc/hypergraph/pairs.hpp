// The pair of nodes (s, i) of every hyperedge at which a signal S (nodes, width) differs most:
//
//     projection   s_e = argmax, i_e = argmin of p_v = <S_v, r> over v in e, for one direction r: O(|e| width), the
//                  reference code's way; the first of equals wins, so that s = i where all of p are equal
//     exact        {s_e, i_e} = argmax ||S_s - S_i||_2 over pairs in e, s before i in e; of equals the pair whose s
//     comes
//                  first in e wins, then whose i does; s = i = the first node where all rows are equal
//
// Sums are in float64, feature f on partial sum f mod 8, partial sums added up in one order, products not fused with
// additions: so the pairs are the same whatever the instruction set and the number of threads.
//
// The exact search leaves pairs out that cannot win: with r_v the distance of S_v from the hyperedge's mean, no pair is
// further apart than r_s + r_i, so nodes are tried by falling r until that bound falls below what was found. Everything
// compared carries rounding, hence a bound must fail by more than that. At worst O(|e|^2 width).
#pragma once

#include <cstdint>

#include "hypergraph/hypergraph.hpp"

namespace moiety::hypergraph {

// signal: nodes x width, contiguous, float or double; direction: width; first, second: hyperedges. Throws Error on a
// signal that is not finite. threads <= 0: default_threads().
template <class T>
void pairs_by_projection(const Hypergraph& h, const T* signal, int64_t width, const double* direction, int32_t* first,
                         int32_t* second, int threads);

template <class T>
void pairs_exact(const Hypergraph& h, const T* signal, int64_t width, int32_t* first, int32_t* second, int threads);

// at_end (incidences in the order of `holders`) becomes 1 where the node is an end of the hyperedge's pair and is left
// as it is elsewhere. Throws Error on a pair with a node that is not in its hyperedge.
void mark_ends(const Hypergraph& h, const Pairs& pairs, uint8_t* at_end, int threads);

}  // namespace moiety::hypergraph
