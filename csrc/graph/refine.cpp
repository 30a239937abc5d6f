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

// A bisection under Fiduccia-Mattheyses. What each node has of its edges' weight across the cut is kept up to date,
// over passes too, so that a pass costs what it moves and one look at every node.
class Bisection {
  public:
    Bisection(const Undirected& g, std::array<int64_t, 2> limit, std::vector<int8_t>& side)
        : g_(g), limit_(limit), side_(side), across_(side.size(), 0), total_(side.size(), 0) {
        for (int64_t v = 0; v < g.nodes(); ++v) {
            const int64_t own = g.node_weight[static_cast<size_t>(v)];
            weight_[side_of(v)] += own;
            slack_ = std::max(slack_, own);
            for_edges(g, v, [&](int64_t u, int64_t w) {
                at(total_, v) += w;
                if (side_of(u) != side_of(v)) at(across_, v) += w;
            });
        }
    }

    // True when the state is better than before.
    bool pass() {
        locked_.assign(side_.size(), false);
        fill_queues();
        // Longer excursions without a better state seldom find one.
        const int64_t patience = std::clamp<int64_t>(g_.nodes() / 50, 25, 400);
        std::vector<int64_t> moved;
        int64_t cut = 0;  // relative to the start
        std::pair<int64_t, int64_t> best{excess(), 0};
        size_t best_length = 0;
        while (static_cast<int64_t>(moved.size() - best_length) <= patience) {
            const int64_t v = choose();
            if (v < 0) break;
            cut -= gain(v);
            locked_[static_cast<size_t>(v)] = true;
            move(v, [&](int64_t u) {
                if (!locked_[static_cast<size_t>(u)]) queue_[side_of(u)].emplace(gain(u), -u);
            });
            moved.push_back(v);
            if (const std::pair<int64_t, int64_t> state{excess(), cut}; state < best) {
                best = state;
                best_length = moved.size();
            }
        }
        for (size_t k = moved.size(); k > best_length; --k) move(moved[k - 1], [](int64_t) {});
        return best_length > 0;
    }

  private:
    using Entry = std::pair<int64_t, int64_t>;  // gain, -node: ties go to the lower number

    size_t side_of(int64_t v) const { return static_cast<size_t>(side_[static_cast<size_t>(v)]); }
    // By how much the cut falls when v changes sides.
    int64_t gain(int64_t v) { return 2 * at(across_, v) - at(total_, v); }
    int64_t excess() const {
        return std::max<int64_t>(0, weight_[0] - limit_[0]) + std::max<int64_t>(0, weight_[1] - limit_[1]);
    }
    // The nodes of the boundary, and all of a side that is too heavy, which may have no boundary to give from.
    void fill_queues() {
        std::array<std::vector<Entry>, 2> entries;
        for (int64_t v = 0; v < g_.nodes(); ++v) {
            const size_t s = side_of(v);
            if (at(across_, v) > 0 || weight_[s] > limit_[s]) entries[s].emplace_back(gain(v), -v);
        }
        for (size_t s : {0, 1}) queue_[s] = std::priority_queue<Entry>({}, std::move(entries[s]));
    }
    // The best free node of a side, -1 for none. Entries that moves have outdated are dropped on the way.
    int64_t top(size_t s) {
        while (!queue_[s].empty()) {
            const auto [of_entry, negative] = queue_[s].top();
            const int64_t v = -negative;
            if (!locked_[static_cast<size_t>(v)] && side_of(v) == s && gain(v) == of_entry) return v;
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
                if (v >= 0 && (best < 0 || gain(v) > gain(best))) best = v;
            }
            if (best < 0 || fits(best)) return best;
            queue_[side_of(best)].pop();  // too heavy for the other side: out of this pass
            const int64_t other = top(1 - side_of(best));
            if (other >= 0 && fits(other)) return other;
        }
    }
    // Calls changed(u) for v's neighbours.
    template <class Changed>
    void move(int64_t v, const Changed& changed) {
        const size_t from = side_of(v), to = 1 - from;
        const int64_t weight = g_.node_weight[static_cast<size_t>(v)];
        weight_[from] -= weight;
        weight_[to] += weight;
        side_[static_cast<size_t>(v)] = static_cast<int8_t>(to);
        at(across_, v) = at(total_, v) - at(across_, v);
        for_edges(g_, v, [&](int64_t u, int64_t w) {
            at(across_, u) += side_of(u) == from ? w : -w;
            changed(u);
        });
    }

    const Undirected& g_;
    std::array<int64_t, 2> limit_, weight_{0, 0};
    int64_t slack_ = 0;  // the heaviest node
    std::vector<int8_t>& side_;
    std::vector<int64_t> across_, total_;
    std::vector<bool> locked_;
    std::array<std::priority_queue<Entry>, 2> queue_;
};

}  // namespace

void refine_bisection(const Undirected& graph, std::array<int64_t, 2> limit, std::vector<int8_t>& side) {
    Bisection bisection(graph, limit, side);
    for (int k = 0; k < bisection_passes; ++k)
        if (!bisection.pass()) return;
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
