#include "graph/vertex_cut.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/check.hpp"
#include "graph/random.hpp"

namespace moiety::graph {
namespace {

// The parts that hold a replica of each node, one bit a part, and its degree so far.
class Replicas {
  public:
    Replicas(int64_t nodes, int64_t parts)
        : words_((parts + 63) / 64),
          bits_(static_cast<size_t>(nodes * words_), 0),
          degree_(static_cast<size_t>(nodes), 0) {}

    bool in(int64_t v, int64_t p) const { return word(v, p) >> (p % 64) & 1; }
    void put(int64_t v, int64_t p) { bits_[index(v, p)] |= uint64_t{1} << (p % 64); }
    int64_t& degree(int64_t v) { return degree_[static_cast<size_t>(v)]; }

  private:
    size_t index(int64_t v, int64_t p) const { return static_cast<size_t>(v * words_ + p / 64); }
    uint64_t word(int64_t v, int64_t p) const { return bits_[index(v, p)]; }

    int64_t words_;
    std::vector<uint64_t> bits_;
    std::vector<int64_t> degree_;
};

struct Edge {
    int64_t position, row, column;
};

template <class Index>
std::vector<Edge> shuffled_edges(const Adjacency<Index>& graph, uint64_t seed) {
    std::vector<Edge> edges;
    edges.reserve(static_cast<size_t>(graph.edges()));
    for (int64_t i = 0; i < graph.rows; ++i) {
        const auto row = graph.row(i);
        for (int64_t e = row.begin; e < row.begin + row.degree; ++e) edges.push_back({e, i, graph.neighbour(e)});
    }
    Stream stream(seed, 0);
    for (size_t k = edges.size(); k > 1; --k)
        std::swap(edges[k - 1], edges[static_cast<size_t>(stream.below(static_cast<int64_t>(k)))]);
    return edges;
}

template <class Index>
void stream_edges(const Adjacency<Index>& graph, bool degrees, const VertexCutOptions& options,
                  std::vector<int32_t>& part) {
    const int64_t parts = options.parts;
    const int64_t first_column = graph.rows == graph.columns ? 0 : graph.rows;  // columns are nodes of their own
    Replicas replicas(first_column + graph.columns, parts);
    std::vector<int64_t> size(static_cast<size_t>(parts), 0);
    const double share = static_cast<double>(graph.edges()) / static_cast<double>(parts);
    const auto full =
        std::max(static_cast<int64_t>((1 + options.imbalance) * share), static_cast<int64_t>(std::ceil(share)));
    for (const Edge& edge : shuffled_edges(graph, options.seed)) {
        const int64_t i = edge.row, j = first_column + edge.column;
        const auto of_i = static_cast<double>(++replicas.degree(i)), of_j = static_cast<double>(++replicas.degree(j));
        const double gain_i = degrees ? 1 + of_j / (of_i + of_j) : 1, gain_j = degrees ? 1 + of_i / (of_i + of_j) : 1;
        const auto [smallest, largest] = std::minmax_element(size.begin(), size.end());
        const auto most = static_cast<double>(*largest);
        const double scale = options.balance / (1 + most - static_cast<double>(*smallest));
        int64_t best = -1;
        double best_score = -1;
        for (int64_t p = 0; p < parts; ++p) {
            const int64_t edges = size[static_cast<size_t>(p)];
            if (edges >= full) continue;
            const double score = (replicas.in(i, p) ? gain_i : 0) + (replicas.in(j, p) ? gain_j : 0) +
                                 scale * (most - static_cast<double>(edges));
            if (score > best_score) best = p, best_score = score;
        }
        part[static_cast<size_t>(edge.position)] = static_cast<int32_t>(best);
        ++size[static_cast<size_t>(best)];
        replicas.put(i, best);
        replicas.put(j, best);
    }
}

}  // namespace

template <class Index>
std::vector<int32_t> vertex_cut(const Adjacency<Index>& graph, VertexCut method, const VertexCutOptions& options) {
    const int64_t parts = options.parts;
    check(parts >= 1 && parts <= std::numeric_limits<int32_t>::max(), "vertex_cut: expected parts >= 1, got ", parts);
    check(std::isfinite(options.balance) && options.balance > 0, "vertex_cut: expected a balance > 0, got ",
          options.balance);
    check(std::isfinite(options.imbalance) && options.imbalance >= 0, "vertex_cut: expected an imbalance >= 0, got ",
          options.imbalance);
    std::vector<int32_t> part(static_cast<size_t>(graph.edges()), 0);
    if (method == VertexCut::hdrf || method == VertexCut::greedy) {
        stream_edges(graph, method == VertexCut::hdrf, options, part);
        return part;
    }
    auto rows = static_cast<int64_t>(std::sqrt(static_cast<double>(parts)));
    while (parts % rows != 0) --rows;
    const int64_t columns = parts / rows;
    const auto hash = [&](int64_t key, int64_t bound) {
        return Stream(options.seed, static_cast<uint64_t>(key)).below(bound);
    };
    for (int64_t i = 0; i < graph.rows; ++i) {
        const auto row = graph.row(i);
        for (int64_t e = row.begin; e < row.begin + row.degree; ++e) {
            const int64_t j = graph.neighbour(e);
            part[static_cast<size_t>(e)] = static_cast<int32_t>(
                method == VertexCut::grid ? hash(i, rows) * columns + hash(j, columns) : hash(e, parts));
        }
    }
    return part;
}

template std::vector<int32_t> vertex_cut(const Adjacency<int32_t>&, VertexCut, const VertexCutOptions&);
template std::vector<int32_t> vertex_cut(const Adjacency<int64_t>&, VertexCut, const VertexCutOptions&);

}  // namespace moiety::graph
