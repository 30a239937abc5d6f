// Random walks, uniform (DeepWalk, arXiv 1403.6652) or of second order (node2vec, arXiv 1607.00653, section 3.2.2).
//
// A step from v that came from t goes to an entry x of v's row with a probability in proportion to
//
//     1/p when x = t      1 when x is an entry of t's row      1/q otherwise
//
// and the first step, and every one when p = q = 1, to a uniform entry. Duplicate entries count as often as they
// appear. The second order is drawn by rejection under the uniform proposal, which needs no table (as KnightKing, SOSP
// 2019, does); after a number of rejections the weights are summed instead, which gives the same distribution in
// bounded time.
//
// Walk w depends on (seed, w) alone. A walk that meets an empty row ends there and the rest of it is -1. Steps of a
// block of walks are taken in turn, so that their cache lines are fetched together.
#pragma once

#include <cstdint>
#include <span>

#include "graph/adjacency.hpp"

namespace moiety::graph {

struct WalkOptions {
    int64_t length = 1;  // steps
    double p = 1, q = 1;
    uint64_t seed = 0;
    int threads = 0;  // <= 0: default_threads()
};

// walks: starts x (length + 1), the start first. The graph must be square; its rows need not be sorted, but are looked
// through faster in the second order when all are.
template <class Index>
void random_walks(const Adjacency<Index>& graph, std::span<const int64_t> starts, const WalkOptions& options,
                  std::span<int64_t> walks);

}  // namespace moiety::graph
