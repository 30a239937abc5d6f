// Undirected views, orders, partitions and vertex cuts on graphs whose answers are known.
#include "graph/partition.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "graph/reorder.hpp"
#include "graph/vertex_cut.hpp"

namespace {

using namespace moiety::graph;

struct Graph {
    std::vector<int64_t> start{0};
    std::vector<int64_t> to;

    Adjacency<int64_t> view() const {
        const auto n = static_cast<int64_t>(start.size()) - 1;
        return {{n, n, start.data(), to.data()}};
    }
};

// side x side nodes, each with its right and its lower neighbour; numbers are multiplied by 7 to scatter them.
Graph mesh(int64_t side) {
    const int64_t n = side * side;
    std::vector<std::vector<int64_t>> rows(static_cast<size_t>(n));
    const auto number = [&](int64_t x, int64_t y) { return (y * side + x) * 7 % n; };
    for (int64_t y = 0; y < side; ++y)
        for (int64_t x = 0; x < side; ++x) {
            if (x + 1 < side) rows[static_cast<size_t>(number(x, y))].push_back(number(x + 1, y));
            if (y + 1 < side) rows[static_cast<size_t>(number(x, y))].push_back(number(x, y + 1));
        }
    Graph g;
    for (const auto& row : rows) {
        g.to.insert(g.to.end(), row.begin(), row.end());
        g.start.push_back(static_cast<int64_t>(g.to.size()));
    }
    return g;
}

void directions_vanish() {
    // 0 -> 1 twice, 1 -> 0, a loop, and 2 -> 1.
    const Graph g{{0, 3, 4, 5}, {1, 1, 0, 0, 1}};
    const Undirected u = undirected(g.view());
    EXPECT((u.start == std::vector<int64_t>{0, 1, 3, 4}));
    EXPECT((u.to == std::vector<int32_t>{1, 0, 2, 1}));
    EXPECT((u.weight == std::vector<int64_t>{3, 3, 1, 1}));
    EXPECT(u.total_node_weight() == 3);
    const Graph bad{{0, 1}, {1}};
    EXPECT_THROWS(undirected(bad.view()));
}

void parts_are_balanced_and_cut_little() {
    const Graph g = mesh(32);
    const Undirected u = undirected(g.view());
    for (int64_t parts : {1, 2, 3, 4, 7, 16}) {
        const std::vector<int32_t> part = partition(u, {parts, 0.03, 1});
        std::vector<int64_t> sizes(static_cast<size_t>(parts), 0);
        for (int32_t p : part) ++sizes[static_cast<size_t>(p)];
        const int64_t limit = std::max<int64_t>((1024 + parts - 1) / parts, 1024 * 103 / 100 / parts);
        EXPECT(*std::max_element(sizes.begin(), sizes.end()) <= limit);
        // A mesh in squares would cut about 2 (sqrt(parts) - 1) 32 edges; chance cuts (1 - 1/parts) of its 1984.
        const double squares = 64 * (std::sqrt(static_cast<double>(parts)) - 1);
        EXPECT(static_cast<double>(cut_of(u, part)) <= 1.6 * squares);
        EXPECT((part == partition(u, {parts, 0.03, 1})));
    }
    // As many parts as nodes, and full balance.
    const Undirected small = undirected(mesh(3).view());
    std::vector<int32_t> each = partition(small, {9, 0, 0});
    std::sort(each.begin(), each.end());
    for (int32_t p = 0; p < 9; ++p) EXPECT(each[static_cast<size_t>(p)] == p);
    // Node weights: one heavy node is a part of its own.
    Undirected heavy = small;
    heavy.node_weight[4] = 8;
    const std::vector<int32_t> two = partition(heavy, {2, 0.01, 0});
    EXPECT(std::count(two.begin(), two.end(), two[4]) == 1);
    EXPECT_THROWS(partition(small, {0, 0.03, 0}));
    EXPECT_THROWS(partition(small, {10, 0.03, 0}));
    EXPECT_THROWS(partition(small, {2, -1, 0}));
}

void orders() {
    const Graph g = mesh(20);
    const Undirected u = undirected(g.view());
    const std::vector<int64_t> order = reverse_cuthill_mckee(u);
    std::vector<int64_t> number(order.size());
    for (size_t k = 0; k < order.size(); ++k) number[static_cast<size_t>(order[k])] = static_cast<int64_t>(k);
    int64_t bandwidth = 0;
    for (int64_t v = 0; v < u.nodes(); ++v)
        for_edges(u, v, [&](int64_t w, int64_t) {
            bandwidth = std::max(bandwidth, std::abs(number[static_cast<size_t>(v)] - number[static_cast<size_t>(w)]));
        });
    EXPECT(bandwidth <= 22);  // 20 is what a mesh of this side allows
    std::vector<int64_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t k = 0; k < sorted.size(); ++k) EXPECT(sorted[k] == static_cast<int64_t>(k));

    const Graph star{{0, 1, 1, 4, 5}, {2, 0, 1, 3, 2}};
    EXPECT((degree_order(star.view()) == std::vector<int64_t>{2, 0, 3, 1}));
}

void cuts_of_vertices() {
    const Graph g = mesh(24);
    const auto edges = static_cast<int64_t>(g.to.size());
    std::array<double, 4> replicas{};
    for (VertexCut method : {VertexCut::hdrf, VertexCut::greedy, VertexCut::grid, VertexCut::random}) {
        const std::vector<int32_t> part = vertex_cut(g.view(), method, {6, 1.1, 0.05, 3});
        std::vector<int64_t> sizes(6, 0);
        std::vector<std::array<bool, 6>> seen(576);
        for (int64_t i = 0; i < 576; ++i)
            for (int64_t e = g.start[static_cast<size_t>(i)]; e < g.start[static_cast<size_t>(i) + 1]; ++e) {
                const auto p = static_cast<size_t>(part[static_cast<size_t>(e)]);
                ++sizes[p];
                seen[static_cast<size_t>(i)][p] = seen[static_cast<size_t>(g.to[static_cast<size_t>(e)])][p] = true;
            }
        double total = 0;
        for (const auto& s : seen) total += static_cast<double>(std::count(s.begin(), s.end(), true));
        replicas[static_cast<size_t>(method)] = total / 576;
        const bool bounded = method == VertexCut::hdrf || method == VertexCut::greedy;
        EXPECT(!bounded || *std::max_element(sizes.begin(), sizes.end()) <= edges * 105 / 100 / 6 + 1);
        EXPECT(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) == edges);
        if (method == VertexCut::grid)
            for (const auto& s : seen) EXPECT(std::count(s.begin(), s.end(), true) <= 2 + 3 - 1);
    }
    EXPECT(replicas[0] < replicas[3] && replicas[1] < replicas[3] && replicas[2] < replicas[3]);
    EXPECT_THROWS(vertex_cut(g.view(), VertexCut::hdrf, {0, 1.1, 0.05, 3}));
    EXPECT_THROWS(vertex_cut(g.view(), VertexCut::hdrf, {2, 0, 0.05, 3}));
}

}  // namespace

int main() {
    directions_vanish();
    parts_are_balanced_and_cut_little();
    orders();
    cuts_of_vertices();
    return moiety::test::report();
}
