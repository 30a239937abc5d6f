// A graph without directions, as orders and partitions want it: the pattern of A + A^T without its diagonal.
//
// Every edge {i, j} appears in both rows, which are sorted, once each; its weight is the number of entries (i, j) and
// (j, i) of A, so that the weight of a cut is the number of entries of A that it cuts.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/adjacency.hpp"

namespace moiety::graph {

struct Undirected {
    std::vector<int64_t> start;        // nodes + 1
    std::vector<int32_t> to;           // ends of the edges
    std::vector<int64_t> weight;       // of the edges
    std::vector<int64_t> node_weight;  // nodes

    int64_t nodes() const { return static_cast<int64_t>(node_weight.size()); }
    int64_t degree(int64_t v) const { return start[static_cast<size_t>(v) + 1] - start[static_cast<size_t>(v)]; }
    int64_t total_node_weight() const;
};

// Calls f(end, weight) for the edges of v.
template <class F>
void for_edges(const Undirected& g, int64_t v, const F& f) {
    const auto begin = static_cast<size_t>(g.start[static_cast<size_t>(v)]);
    const auto end = static_cast<size_t>(g.start[static_cast<size_t>(v) + 1]);
    for (size_t e = begin; e < end; ++e) f(static_cast<int64_t>(g.to[e]), g.weight[e]);
}

// The graph must be square with fewer than 2^31 nodes. Node weights are 1. O(nodes + entries).
template <class Index>
Undirected undirected(const Adjacency<Index>& graph);

}  // namespace moiety::graph
