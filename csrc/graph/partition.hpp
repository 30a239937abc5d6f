// Partitions of a graph's nodes that cut few edges: multilevel recursive bisection (Karypis, Kumar, SIAM J. Sci.
// Comput. 20(1), 1998), polished over all parts at once.
//
// A bisection makes the graph small, cuts the small one and brings the cut back:
// 1. Coarsen: match nodes along heavy edges, light nodes first; what finds no free neighbour is matched with a node
// that
//    has the same heaviest neighbour (stars of power-law graphs, where edges alone soon match nothing); contract.
// 2. Grow one side greedily from a few starts, refine each, keep the best.
// 3. Uncoarsen: on every level refine by Fiduccia and Mattheyses (DAC 1982): move the boundary node of best gain
// whether
//    it gains or not, lock it, and return to the best state met.
// The halves are divided again, in proportion where the number of parts is odd. At the end boundary nodes move to the
// part that they have most edges to as long as the cut falls, and nodes leave parts that are too heavy.
//
// One thread, and the same result for the same seed. O(entries log parts) for each of the levels.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/undirected.hpp"

namespace moiety::graph {

struct PartitionOptions {
    int64_t parts = 2;
    double imbalance = 0.03;  // a part weighs at most (1 + imbalance) times its share, rounded up to whole nodes
    uint64_t seed = 0;
};

// The part of each node; node weights (>= 0) are those of `graph`. A node heavier than a part may be breaks the bound.
std::vector<int32_t> partition(Undirected graph, const PartitionOptions& options);

// The weight of edges whose ends lie in different parts.
int64_t cut_of(const Undirected& graph, std::span<const int32_t> part);

}  // namespace moiety::graph
