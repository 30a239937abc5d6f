#include "graph/partition.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/check.hpp"
#include "graph/coarsen.hpp"
#include "graph/random.hpp"
#include "graph/refine.hpp"

namespace moiety::graph {
namespace {

constexpr int64_t coarsest_nodes = 120;
constexpr int starts = 6;  // of growing on the coarsest graph

int64_t heaviest_node(const Undirected& g) {
    return g.nodes() == 0 ? 0 : *std::max_element(g.node_weight.begin(), g.node_weight.end());
}

int64_t cut_of_sides(const Undirected& g, const std::vector<int8_t>& side) {
    int64_t cut = 0;
    for (int64_t v = 0; v < g.nodes(); ++v)
        for_edges(g, v, [&](int64_t u, int64_t w) {
            if (u > v && side[static_cast<size_t>(u)] != side[static_cast<size_t>(v)]) cut += w;
        });
    return cut;
}

// Side 0 grows from a random node by the node with the best gain, until it weighs `target`; where its component ends it
// goes on from another one.
std::vector<int8_t> grow(const Undirected& g, int64_t target, Stream& stream) {
    const auto n = static_cast<size_t>(g.nodes());
    std::vector<int8_t> side(n, 1);
    std::vector<int64_t> gain(n);
    for (size_t v = 0; v < n; ++v) for_edges(g, static_cast<int64_t>(v), [&](int64_t, int64_t w) { gain[v] -= w; });
    std::vector<bool> touched(n, false);
    for (int64_t weight = 0; weight < target;) {
        int64_t best = -1;
        for (size_t v = 0; v < n; ++v)  // the coarsest graph is small
            if (side[v] == 1 && touched[v] && (best < 0 || gain[v] > gain[static_cast<size_t>(best)]))
                best = static_cast<int64_t>(v);
        if (best < 0) {
            best = stream.below(g.nodes());
            while (side[static_cast<size_t>(best)] == 0) best = (best + 1) % g.nodes();
        }
        const int64_t heavier = weight + g.node_weight[static_cast<size_t>(best)];
        if (heavier - target > target - weight && weight > 0) break;  // further from the target than without it
        weight = heavier;
        side[static_cast<size_t>(best)] = 0;
        for_edges(g, best, [&](int64_t u, int64_t w) {
            gain[static_cast<size_t>(u)] += 2 * w;
            touched[static_cast<size_t>(u)] = true;
        });
        if (std::find(side.begin(), side.end(), 1) == side.end()) break;
    }
    return side;
}

// Side 0 with about `share` of the weight, neither side above its limit where that can be.
std::vector<int8_t> bisect(const Undirected& graph, double share, double imbalance, Stream& stream) {
    const auto total = static_cast<double>(graph.total_node_weight());
    const auto limit_of = [&](double part) {
        return std::max(static_cast<int64_t>((1 + imbalance) * part * total),
                        static_cast<int64_t>(std::ceil(part * total)));
    };
    const std::array<int64_t, 2> limit{limit_of(share), limit_of(1 - share)};

    std::vector<Coarse> levels;
    const auto top = [&]() -> const Undirected& { return levels.empty() ? graph : levels.back().graph; };
    const int64_t heaviest =
        std::max<int64_t>(1, static_cast<int64_t>(1.5 * total / static_cast<double>(coarsest_nodes)));
    while (top().nodes() > coarsest_nodes) {
        Coarse next = coarsen(top(), heaviest, stream);
        if (static_cast<double>(next.graph.nodes()) > 0.95 * static_cast<double>(top().nodes())) break;
        levels.push_back(std::move(next));
    }

    std::vector<int8_t> best;
    std::pair<int64_t, int64_t> best_state{std::numeric_limits<int64_t>::max(), 0};
    for (int k = 0; k < starts; ++k) {
        std::vector<int8_t> side = grow(top(), static_cast<int64_t>(std::llround(share * total)), stream);
        refine_bisection(top(), limit, side);
        std::array<int64_t, 2> weight{0, 0};
        for (size_t v = 0; v < side.size(); ++v) weight[static_cast<size_t>(side[v])] += top().node_weight[v];
        const std::pair<int64_t, int64_t> state{
            std::max<int64_t>(0, weight[0] - limit[0]) + std::max<int64_t>(0, weight[1] - limit[1]),
            cut_of_sides(top(), side)};
        if (state < best_state) best_state = state, best = std::move(side);
    }
    while (!levels.empty()) {
        const std::vector<int32_t> of = std::move(levels.back().of);
        levels.pop_back();
        std::vector<int8_t> finer(of.size());
        for (size_t v = 0; v < of.size(); ++v) finer[v] = best[static_cast<size_t>(of[v])];
        best = std::move(finer);
        refine_bisection(top(), limit, best);
    }
    return best;
}

// The subgraph of one side; `members` are its nodes.
Undirected induced(const Undirected& g, const std::vector<int8_t>& side, int8_t which, std::vector<int32_t>& members) {
    std::vector<int32_t> number(side.size(), -1);
    for (size_t v = 0; v < side.size(); ++v)
        if (side[v] == which) {
            number[v] = static_cast<int32_t>(members.size());
            members.push_back(static_cast<int32_t>(v));
        }
    Undirected s;
    s.start.push_back(0);
    for (int32_t v : members) {
        s.node_weight.push_back(g.node_weight[static_cast<size_t>(v)]);
        for_edges(g, v, [&](int64_t u, int64_t w) {
            if (number[static_cast<size_t>(u)] < 0) return;
            s.to.push_back(number[static_cast<size_t>(u)]);
            s.weight.push_back(w);
        });
        s.start.push_back(static_cast<int64_t>(s.to.size()));
    }
    return s;
}

// Parts [first, first + parts) for the nodes of `g`, which are `names` in the whole graph.
void divide(Undirected g, const std::vector<int32_t>& names, int64_t first, int64_t parts, double imbalance,
            Stream& stream, std::vector<int32_t>& part) {
    if (parts == 1 || g.nodes() == 0) {
        for (int32_t v : names) part[static_cast<size_t>(v)] = static_cast<int32_t>(first);
        return;
    }
    const int64_t left = parts / 2;
    const std::vector<int8_t> side =
        bisect(g, static_cast<double>(left) / static_cast<double>(parts), imbalance, stream);
    std::vector<int32_t> members[2];
    Undirected half[2];
    for (int8_t s : {int8_t{0}, int8_t{1}}) {
        half[s] = induced(g, side, s, members[s]);
        for (int32_t& v : members[s]) v = names[static_cast<size_t>(v)];
    }
    g = {};  // its memory is wanted below
    divide(std::move(half[0]), members[0], first, left, imbalance, stream, part);
    divide(std::move(half[1]), members[1], first + left, parts - left, imbalance, stream, part);
}

}  // namespace

std::vector<int32_t> partition(Undirected graph, const PartitionOptions& options) {
    const int64_t n = graph.nodes(), parts = options.parts;
    check(parts >= 1 && parts <= std::max<int64_t>(n, 1), "partition: expected parts in [1, ", n, " nodes], got ",
          parts);
    check(std::isfinite(options.imbalance) && options.imbalance >= 0, "partition: expected an imbalance >= 0, got ",
          options.imbalance);
    for (int64_t w : graph.node_weight) check(w >= 0, "partition: expected node weights >= 0, got ", w);
    std::vector<int32_t> part(static_cast<size_t>(n), 0);
    if (parts == 1) return part;

    Stream stream(options.seed, 0);
    const double depth = std::ceil(std::log2(static_cast<double>(parts)));
    const double of_bisection = std::pow(1 + options.imbalance, 1 / depth) - 1;
    std::vector<int32_t> names(static_cast<size_t>(n));
    std::iota(names.begin(), names.end(), 0);
    divide(graph, names, 0, parts, of_bisection, stream, part);

    const double share = static_cast<double>(graph.total_node_weight()) / static_cast<double>(parts);
    const auto limit =
        std::max(static_cast<int64_t>((1 + options.imbalance) * share), static_cast<int64_t>(std::ceil(share)));
    refine_parts(graph, parts, std::max(limit, heaviest_node(graph)), part);
    return part;
}

int64_t cut_of(const Undirected& g, std::span<const int32_t> part) {
    check(static_cast<int64_t>(part.size()) == g.nodes(), "cut_of: expected a part for each of ", g.nodes(),
          " nodes, got ", part.size());
    int64_t cut = 0;
    for (int64_t v = 0; v < g.nodes(); ++v)
        for_edges(g, v, [&](int64_t u, int64_t w) {
            if (u > v && part[static_cast<size_t>(u)] != part[static_cast<size_t>(v)]) cut += w;
        });
    return cut;
}

}  // namespace moiety::graph
