// Neighbour sampling over k hops with relabelling: what GraphSAGE (arXiv 1706.02216, algorithm 2) trains on.
//
// Hop h takes every node that hop h - 1 found first (hop 1: the seeds) and draws up to fanouts[h - 1] of its row's
// entries: all of them when the row has no more or the fan-out is -1; else without replacement every subset of that
// size with equal probability (Floyd's algorithm, Bentley and Floyd, CACM 30(9), 1987), or with replacement independent
// uniform draws (none from an empty row). A node's entries are drawn once, so every node appears once.
//
// The result is one matrix in compressed rows. Its nodes are numbered as found: the seeds, then hop after hop in the
// order of the drawn entries. Its rows are the nodes that were expanded, hence the layers of a network read prefixes of
// it: the layer that has h hops still to go reads rows [0, hops[h - 1]) and columns [0, hops[h]), and the last layer
// the rows of the seeds.
//
// Draws of node v depend on (seed, v) alone: the same at any number of threads and in whatever batch v appears. Numbers
// are given in one pass in order, by a table of 4 bytes a node of the graph, kept by the calling thread for its next
// call and cleared where it was used, so a call costs what it draws and not what the graph holds. Draws of a block of
// rows are made, and their cache lines asked for, before the first one is read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/adjacency.hpp"

namespace moiety::graph {

struct SampleOptions {
    std::span<const int64_t> fanouts;  // one a hop: >= 1, or -1 for all
    bool replace = false;
    uint64_t seed = 0;
    int threads = 0;  // <= 0: default_threads()
};

struct Sample {
    std::vector<int64_t> nodes;    // the graph's number of each node
    std::vector<int64_t> hops;     // hops[h]: nodes within h hops; fanouts + 1 entries
    std::vector<int64_t> indptr;   // hops[fanouts - 1] + 1
    std::vector<int32_t> indices;  // numbers of this sample, in [0, nodes)
    std::vector<int64_t> edges;    // positions in the graph's entries
};

// The graph must be square, seeds distinct nodes of it. Throws Error otherwise.
template <class Index>
Sample sample_neighbors(const Adjacency<Index>& graph, std::span<const int64_t> seeds, const SampleOptions& options);

}  // namespace moiety::graph
