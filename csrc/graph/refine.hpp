// Improvements of a given partition. For partition.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "graph/undirected.hpp"

namespace moiety::graph {

// Two sides, each with the weight that it may have at most. Moves nodes until no pass of Fiduccia-Mattheyses lowers
// (weight above the limits, cut), in this order.
void refine_bisection(const Undirected& graph, std::array<int64_t, 2> limit, std::vector<int8_t>& side);

// Any number of parts: moves a node of the boundary to the part that it has most edges to when this lowers the cut, or
// keeps it and evens out the weights; nodes of a part above `limit` move to where they cost the cut least.
void refine_parts(const Undirected& graph, int64_t parts, int64_t limit, std::vector<int32_t>& part);

}  // namespace moiety::graph
