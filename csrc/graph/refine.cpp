#include "graph/refine.hpp"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

namespace moiety::graph {
namespace {

constexpr int bisection_passes = 8;
constexpr int parts_passes = 8;

int64_t& at(std::vector<int64_t>& v, int64_t i) { return v[static_cast<size_t>(i)]; }

// One pass over a bisection. gain[v]: by how much the cut falls when v changes sides.
class Pass {
  public:
    Pass(const Undirected& g, std::array<int64_t, 2> limit, std::vector<int8_t>& side)
        : g_(g), limit_(limit), side_(side), gain_(static_cast<size_t>(g.nodes()), 0), locked_(gain_.size(), false) {
        for (int64_t v = 0; v < g.nodes(); ++v) {
            const int64_t own = g.node_weight[static_cast<size_t>(v)];
            weight_[side_of(v)] += own;
            slack_ = std::max(slack_, own);
            bool boundary = false;
            for_edges(g, v, [&](int64_t u, int64_t weight) {
                const bool cut = side_of(u) != side_of(v);
                boundary |= cut;
                at(gain_, v) += cut ? weight : -weight;
            });
            if (boundary) push(v);
        }
        // A side that is too heavy may have no boundary to give from.
        for (size_t s : {0, 1})
            if (weight_[s] > limit_[s])
                for (int64_t v = 0; v < g.nodes(); ++v)
                    if (side_of(v) == s) push(v);
    }

    // True when the state is better than before.
    bool run() {
        // Longer excursions without a better state seldom find one.
        const int64_t patience = std::clamp<int64_t>(g_.nodes() / 50, 25, 400);
        std::vector<int64_t> moved;
        int64_t cut = 0;  // relative to the start
        std::pair<int64_t, int64_t> best{excess(), 0};
        size_t best_length = 0;
        while (static_cast<int64_t>(moved.size() - best_length) <= patience) {
            const int64_t v = choose();
            if (v < 0) break;
            cut -= at(gain_, v);
            move(v);
            moved.push_back(v);
            if (const std::pair<int64_t, int64_t> state{excess(), cut}; state < best) {
                best = state;
                best_length = moved.size();
            }
        }
        for (size_t k = best_length; k < moved.size(); ++k) {
            int8_t& s = side_[static_cast<size_t>(moved[k])];
            s = static_cast<int8_t>(1 - s);
        }
        return best_length > 0;
    }

  private:
    using Entry = std::pair<int64_t, int64_t>;  // gain, -node: ties go to the lower number

    size_t side_of(int64_t v) const { return static_cast<size_t>(side_[static_cast<size_t>(v)]); }
    int64_t excess() const {
        return std::max<int64_t>(0, weight_[0] - limit_[0]) + std::max<int64_t>(0, weight_[1] - limit_[1]);
    }
    void push(int64_t v) { queue_[side_of(v)].emplace(at(gain_, v), -v); }
    // The best free node of a side, -1 for none. Entries that moves have outdated are dropped on the way.
    int64_t top(size_t s) {
        while (!queue_[s].empty()) {
            const auto [gain, negative] = queue_[s].top();
            const int64_t v = -negative;
            if (!locked_[static_cast<size_t>(v)] && side_of(v) == s && at(gain_, v) == gain) return v;
            queue_[s].pop();
        }
        return -1;
    }
    // Above its limit by one node a side gives one back next: an exchange, where both sides are full.
    bool fits(int64_t v) const {
        const size_t other = 1 - side_of(v);
        return weight_[other] + g_.node_weight[static_cast<size_t>(v)] <= limit_[other] + slack_;
    }
    int64_t choose() {
        for (size_t s : {0, 1})
            if (weight_[s] > limit_[s]) return top(s);
        for (;;) {
            int64_t best = -1;
            for (size_t s : {0, 1}) {
                const int64_t v = top(s);
                if (v >= 0 && (best < 0 || at(gain_, v) > at(gain_, best))) best = v;
            }
            if (best < 0 || fits(best)) return best;
            queue_[side_of(best)].pop();  // too heavy for the other side: out of this pass
            const int64_t other = top(1 - side_of(best));
            if (other >= 0 && fits(other)) return other;
        }
    }
    void move(int64_t v) {
        const size_t from = side_of(v), to = 1 - from;
        const int64_t weight = g_.node_weight[static_cast<size_t>(v)];
        weight_[from] -= weight;
        weight_[to] += weight;
        side_[static_cast<size_t>(v)] = static_cast<int8_t>(to);
        locked_[static_cast<size_t>(v)] = true;
        for_edges(g_, v, [&](int64_t u, int64_t w) {
            if (locked_[static_cast<size_t>(u)]) return;
            at(gain_, u) += side_of(u) == from ? 2 * w : -2 * w;
            push(u);
        });
    }

    const Undirected& g_;
    std::array<int64_t, 2> limit_, weight_{0, 0};
    int64_t slack_ = 0;
    std::vector<int8_t>& side_;
    std::vector<int64_t> gain_;
    std::vector<bool> locked_;
    std::array<std::priority_queue<Entry>, 2> queue_;
};

}  // namespace

void refine_bisection(const Undirected& graph, std::array<int64_t, 2> limit, std::vector<int8_t>& side) {
    for (int k = 0; k < bisection_passes; ++k)
        if (!Pass(graph, limit, side).run()) return;
}

void refine_parts(const Undirected& g, int64_t parts, int64_t limit, std::vector<int32_t>& part) {
    std::vector<int64_t> weight(static_cast<size_t>(parts), 0);
    for (int64_t v = 0; v < g.nodes(); ++v)
        weight[static_cast<size_t>(part[static_cast<size_t>(v)])] += g.node_weight[static_cast<size_t>(v)];
    std::vector<int64_t> edges_to(static_cast<size_t>(parts), 0);  // of the node under way

    for (int k = 0; k < parts_passes; ++k) {
        bool changed = false;
        for (int64_t v = 0; v < g.nodes(); ++v) {
            const auto own = static_cast<size_t>(part[static_cast<size_t>(v)]);
            const int64_t own_weight = g.node_weight[static_cast<size_t>(v)];
            const bool heavy = weight[own] > limit;
            bool boundary = heavy;
            for_edges(g, v, [&](int64_t u, int64_t w) {
                const auto other = static_cast<size_t>(part[static_cast<size_t>(u)]);
                edges_to[other] += w;
                boundary |= other != own;
            });
            if (boundary) {
                size_t best = own;
                const auto better = [&](size_t p) {
                    if (p == own || weight[p] + own_weight > limit) return false;
                    if (best == own)
                        return heavy || edges_to[p] > edges_to[own] ||
                               (edges_to[p] == edges_to[own] && weight[p] + own_weight < weight[own]);
                    return edges_to[p] > edges_to[best] || (edges_to[p] == edges_to[best] && weight[p] < weight[best]);
                };
                if (heavy) {
                    for (size_t p = 0; p < static_cast<size_t>(parts); ++p)
                        if (better(p)) best = p;
                } else {
                    for_edges(g, v, [&](int64_t u, int64_t) {
                        const auto p = static_cast<size_t>(part[static_cast<size_t>(u)]);
                        if (better(p)) best = p;
                    });
                }
                if (best != own) {
                    part[static_cast<size_t>(v)] = static_cast<int32_t>(best);
                    weight[own] -= own_weight;
                    weight[best] += own_weight;
                    changed = true;
                }
            }
            for_edges(g, v,
                      [&](int64_t u, int64_t) { edges_to[static_cast<size_t>(part[static_cast<size_t>(u)])] = 0; });
            edges_to[own] = 0;
        }
        if (!changed) return;
    }
}

}  // namespace moiety::graph
