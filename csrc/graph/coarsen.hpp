// One step of coarsening: a matching, and the graph in which matched nodes are one. For partition.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/random.hpp"
#include "graph/undirected.hpp"

namespace moiety::graph {

struct Coarse {
    Undirected graph;
    std::vector<int32_t> of;  // the coarse node of each fine one
};

// Matched pairs weigh at most `heaviest`. Weights of merged edges add up; edges inside a pair vanish.
Coarse coarsen(const Undirected& graph, int64_t heaviest, Stream& stream);

}  // namespace moiety::graph
