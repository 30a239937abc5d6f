// Orders of a graph's nodes that bring neighbours together. An order lists the old numbers in their new sequence.
//
// - degree: rows with more entries first, equal ones in their old order. Rows that many others read share cache lines
//   and stay in the cache.
// - reverse Cuthill-McKee (Cuthill, McKee 1969; George, Liu, "Computer Solution of Large Sparse Positive Definite
//   Systems", 1981): breadth-first from a pseudo-peripheral node, neighbours by rising degree, reversed at the end.
//   Makes the bandwidth of A + A^T small where it can be. Components follow each other by their lowest old number.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/adjacency.hpp"
#include "graph/undirected.hpp"

namespace moiety::graph {

// Of a graph of any shape, by its rows. O(rows).
template <class Index>
std::vector<int64_t> degree_order(const Adjacency<Index>& graph);

// O(entries log(largest degree)) after the pseudo-peripheral nodes, each of which costs a few breadth-first passes over
// its component.
std::vector<int64_t> reverse_cuthill_mckee(const Undirected& graph);

}  // namespace moiety::graph
