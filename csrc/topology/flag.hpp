// Flag complexes of graphs that change: a set of vertices is a simplex while all its edges are there.
//
// `flag_cells` takes any graph whose vertices and edges have lifetimes and gives the cells of its clique complexes.
// The two constructions of Z-GCNETs (Y. Chen, I. Segovia-Dominguez, Y. R. Gel, ICML 2021) are two such graphs. For
// snapshots G_0, ..., G_{T-1} on N nodes both have positions 0, ..., 2T - 2: G_i at 2i, a union at 2i + 1.
//   paper: vertices are shared, and position 2i + 1 is the true union (Definition 3.1);
//   code:  each snapshot has vertices of its own, v + iN, and position 2i + 1 holds both snapshots, the edges
//          (v + iN, v + (i+1)N) and, for every edge uv of either, (u + iN, v + (i+1)N) and (v + iN, u + (i+1)N): what
//          the authors' programme builds as one 2N x 2N matrix of distances.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "topology/cells.hpp"

namespace moiety::topology {

enum class Mode : int { paper = 0, code = 1 };

// Edges of T snapshots on `nodes` nodes: those of step t are (tail, head)[start[t]], ... up to start[t + 1], tail <
// head, rising lexicographically.
struct Snapshots {
    int32_t nodes = 0;
    std::span<const int64_t> start;
    std::span<const int32_t> tail, head;

    int32_t steps() const { return static_cast<int32_t>(start.size()) - 1; }
    // Steps from, ..., until - 1.
    Snapshots part(int32_t from, int32_t until) const {
        return {nodes, start.subspan(static_cast<size_t>(from), static_cast<size_t>(until - from) + 1), tail, head};
    }
    // Throws Error unless it is as above, naming the step.
    void validate() const;
};

// A vertex or an edge while it is there. Vertices are numbered by their place in the list; an edge may have several
// lifetimes, which must be disjoint and within those of its ends.
struct TimedGraph {
    int32_t positions = 0;
    std::vector<int32_t> vertex_enter, vertex_exit;
    std::vector<int32_t> tail, head, enter, exit;  // tail < head
};

TimedGraph timed_graph(const Snapshots& snapshots, Mode mode);

// Simplices of dimension at most max_dimension + 1, canonical. Throws Error on an edge that is no edge of the graph.
Cells flag_cells(const TimedGraph& graph, int max_dimension);

}  // namespace moiety::topology
