#include "graph/coarsen.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace moiety::graph {
namespace {

// Nodes by rising degree, in random order within a degree: hubs would take the partners of nodes that have no other.
std::vector<int32_t> visiting_order(const Undirected& g, Stream& stream) {
    std::vector<int32_t> order(static_cast<size_t>(g.nodes()));
    std::iota(order.begin(), order.end(), 0);
    for (size_t k = order.size(); k > 1; --k)
        std::swap(order[k - 1], order[static_cast<size_t>(stream.below(static_cast<int64_t>(k)))]);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return g.degree(a) < g.degree(b); });
    return order;
}

class Matching {
  public:
    Matching(const Undirected& g, int64_t heaviest, Stream& stream)
        : g_(g), heaviest_(heaviest), mate_(static_cast<size_t>(g.nodes()), -1) {
        const std::vector<int32_t> order = visiting_order(g, stream);
        for (int32_t v : order)
            if (mate_[static_cast<size_t>(v)] < 0) match_along_edge(v);
        match_over_a_neighbour(order);
    }
    // The partner, or the node itself.
    int32_t mate(int64_t v) const {
        const int32_t m = mate_[static_cast<size_t>(v)];
        return m < 0 ? static_cast<int32_t>(v) : m;
    }

  private:
    bool fits(int64_t v, int64_t u) const {
        return g_.node_weight[static_cast<size_t>(v)] + g_.node_weight[static_cast<size_t>(u)] <= heaviest_;
    }
    void join(int64_t v, int64_t u) {
        mate_[static_cast<size_t>(v)] = static_cast<int32_t>(u);
        mate_[static_cast<size_t>(u)] = static_cast<int32_t>(v);
    }
    void match_along_edge(int64_t v) {
        int64_t best = -1, best_weight = 0;
        for_edges(g_, v, [&](int64_t u, int64_t weight) {
            if (mate_[static_cast<size_t>(u)] < 0 && weight > best_weight && fits(v, u)) best = u, best_weight = weight;
        });
        if (best >= 0) join(v, best);
    }
    // A free node waits at its heaviest neighbour until another one comes; those without neighbours wait together.
    void match_over_a_neighbour(const std::vector<int32_t>& order) {
        const int64_t n = g_.nodes();
        std::vector<int32_t> waiting(static_cast<size_t>(n) + 1, -1);
        for (int32_t v : order) {
            if (mate_[static_cast<size_t>(v)] >= 0) continue;
            int64_t place = n, place_weight = 0;
            for_edges(g_, v, [&](int64_t u, int64_t weight) {
                if (weight > place_weight) place = u, place_weight = weight;
            });
            int32_t& other = waiting[static_cast<size_t>(place)];
            if (other >= 0 && fits(v, other)) {
                join(v, other);
                other = -1;
            } else {
                other = v;
            }
        }
    }

    const Undirected& g_;
    int64_t heaviest_;
    std::vector<int32_t> mate_;
};

}  // namespace

Coarse coarsen(const Undirected& g, int64_t heaviest, Stream& stream) {
    const Matching matching(g, heaviest, stream);
    const int64_t n = g.nodes();
    Coarse c;
    c.of.assign(static_cast<size_t>(n), -1);
    std::vector<int32_t> first;  // the lower-numbered fine node of each coarse one
    for (int64_t v = 0; v < n; ++v) {
        if (c.of[static_cast<size_t>(v)] >= 0) continue;
        c.of[static_cast<size_t>(v)] = c.of[static_cast<size_t>(matching.mate(v))] = static_cast<int32_t>(first.size());
        first.push_back(static_cast<int32_t>(v));
    }

    Undirected& to = c.graph;
    const size_t size = first.size();
    to.node_weight.resize(size);
    to.start.reserve(size + 1);
    to.start.push_back(0);
    std::vector<int64_t> place(size, -1);  // of the edge to each coarse node in the row under way
    for (size_t coarse = 0; coarse < size; ++coarse) {
        const int64_t row = to.start.back();
        const auto add = [&](int64_t v) {
            to.node_weight[coarse] += g.node_weight[static_cast<size_t>(v)];
            for_edges(g, v, [&](int64_t u, int64_t weight) {
                const int32_t end = c.of[static_cast<size_t>(u)];
                if (end == static_cast<int32_t>(coarse)) return;
                int64_t& at = place[static_cast<size_t>(end)];
                if (at >= row) {
                    to.weight[static_cast<size_t>(at)] += weight;
                } else {
                    at = static_cast<int64_t>(to.to.size());
                    to.to.push_back(end);
                    to.weight.push_back(weight);
                }
            });
        };
        const int32_t v = first[coarse], mate = matching.mate(v);
        add(v);
        if (mate != v) add(mate);
        to.start.push_back(static_cast<int64_t>(to.to.size()));
    }
    return c;
}

}  // namespace moiety::graph
