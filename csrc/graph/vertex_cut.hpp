// Partitions of a graph's edges (vertex cuts, "2D"): every edge lies in one part, and a node has a replica in each part
// that holds an edge of it. What costs is the replication factor, the mean number of replicas.
//
// - hdrf (Petroni et al., CIKM 2015) and greedy (Gonzalez et al., PowerGraph, OSDI 2012, as HDRF's authors write it)
//   stream over the edges in random order and put edge (i, j) into the part p of the highest
//
//       g(i, p) + g(j, p) + balance (largest - size_p) / (1 + largest - smallest)
//
//   where g(v, p) is 0 unless v has a replica in p, then 1 for greedy and 1 + (1 - share of v in the degrees seen of i
//   and j) for hdrf, which so prefers to replicate hubs. A part that is full, which holds (1 + imbalance) times its
//   share of the edges, takes no more.
// - grid: part (hash(i) mod r, hash(j) mod c) of an r x c grid of parts, r the largest divisor up to the root: a node
// has
//   at most r + c - 1 replicas. The 2D layout of sparse matrices with scattered rows and columns.
// - random: by a hash of the edge; what the others are compared with.
//
// Rows and columns of a square graph are the same nodes; those of a rectangular one are different ones.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/adjacency.hpp"

namespace moiety::graph {

enum class VertexCut { hdrf, greedy, grid, random };

struct VertexCutOptions {
    int64_t parts = 2;
    double balance = 1.1;     // weight of the balance among the scores of hdrf and greedy; > 0
    double imbalance = 0.03;  // of hdrf and greedy
    uint64_t seed = 0;
};

// The part of each entry. One thread; O(entries parts) for hdrf and greedy, O(entries) for the others.
template <class Index>
std::vector<int32_t> vertex_cut(const Adjacency<Index>& graph, VertexCut method, const VertexCutOptions& options);

}  // namespace moiety::graph
