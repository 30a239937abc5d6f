// A hypergraph as its incidence matrix from both sides, and what makes a non-linear Laplacian of it (HyperGCN, Yadati
// et al., NeurIPS 2019, sections 3 and 4; after Chan and Liang, 2018):
//
//     a signal picks a pair (s, i) of every hyperedge e (pairs.hpp), the pair and, with mediators, the other nodes k of
//     e become edges {s, i}, {s, k}, {i, k} of weight w, edges that meet add up to A, and
//     L = D^-1/2 (A + I) D^-1/2,   D the row sums of A + I.
//
//                          `paper`               `code` (malllabiisc/HyperGCN)
//     w with mediators     w_e / (2 |e| - 3)     w_e / (2 |e| - 3)
//     w without            w_e                   w_e / |e|
//     s = i                e adds nothing        edges as above, which become loops and double edges
//
// w_e is the hyperedge's own weight, 1 by default. A hyperedge of one node adds nothing in either (the code's formula
// would subtract). The incidence is public: indices steer addresses.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "core/scratch.hpp"
#include "graph/csr.hpp"

namespace moiety::hypergraph {

using graph::Csr;

// The unsigned integer of a float's size.
template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

// What only the structure decides.
struct Facts {
    Scratch<double> mediated;  // the row sums of A + I with mediators if every node were one in all of its hyperedges
    int64_t longest;           // the most nodes, each time it is met, of the hyperedges of one node
};

// Nodes of a hyperedge differ from each other; there are fewer than 2^31 nodes and hyperedges.
struct Hypergraph {
    Csr<int32_t> members;            // rows are hyperedges, columns nodes, in the caller's order
    Csr<int32_t> holders;            // the transpose: rows are nodes, columns hyperedges, ascending
    const int64_t* place = nullptr;  // of every incidence of `members`, where it lies in `holders`
    const double* weight = nullptr;  // hyperedges, or null for ones
    // What `facts_of` made, or null: what no signal changes need not be found out for each.
    std::shared_ptr<const Facts> facts = nullptr;

    int64_t nodes() const { return members.columns; }
    int64_t hyperedges() const { return members.rows; }
    int64_t size(int64_t e) const { return members.row_start[e + 1] - members.row_start[e]; }
};

// Throws Error unless both sides are valid and each other's transpose, every hyperedge has a node and none twice, and
// weights are finite and positive. Reads everything once.
void validate(const Hypergraph& h, int64_t incidences);

// O(incidences).
std::shared_ptr<const Facts> facts_of(const Hypergraph& h);
int64_t longest_row(const Hypergraph& h);  // of `facts` if they are there

struct Rule {
    bool mediators = true;
    bool code = false;  // else as in the paper
};

// The pair of every hyperedge (hyperedges each). `known`: pairs.hpp found them in this hypergraph, and nobody looks
// whether their nodes are of their hyperedges.
struct Pairs {
    const int32_t* first;
    const int32_t* second;
    bool known = false;
};

// What a hyperedge contributes: both ends of its pair, the same one where it contributes nothing, and the weight w of
// its edges; and where its nodes are, so that who meets a hyperedge at random reads one cache line of it.
template <class T>
struct alignas(32) Star {
    int32_t end[2];
    int64_t begin;  // among `members`
    int32_t size;
    T weight;

    bool loop() const { return end[0] == end[1]; }
};

// The Laplacian of one choice of pairs without its edges: all that products and rows need, O(incidences) bytes.
template <class T>
struct Stars {
    Rule rule;
    Scratch<Star<T>> star;    // hyperedges
    Scratch<uint8_t> at_end;  // incidences in the order of `holders`: whether the node is an end of that star
    Scratch<T> scale;         // nodes: D^-1/2
    Scratch<T> own;           // nodes: the weight of its loop less w of every star that it is one of two ends of
};

// Everything but `at_end`, and `own` where it is asked for. T is float or double. O(nodes + hyperedges) once
// h.facts is there. Throws Error on sums of weights beyond T; whether both nodes are of their hyperedge is for the
// caller to find out beforehand.
template <class T>
Stars<T> weigh(const Hypergraph& h, const Rule& rule, const Pairs& pairs, bool own, int threads);

// All of it: O(incidences). Throws Error on a pair with a node that is not in its hyperedge.
template <class T>
Stars<T> make_stars(const Hypergraph& h, const Rule& rule, const Pairs& pairs, int threads);

// The same as fixed-point numbers of `fraction_bits` bits, rounded to nearest: products of three of them carry three
// times as many.
Stars<uint64_t> in_ring(const Hypergraph& h, Stars<double> stars, int fraction_bits, int threads);

}  // namespace moiety::hypergraph
