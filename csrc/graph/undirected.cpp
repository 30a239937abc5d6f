#include "graph/undirected.hpp"

#include <limits>
#include <numeric>

#include "core/buffer.hpp"
#include "core/check.hpp"
#include "graph/csr.hpp"

namespace moiety::graph {
namespace {

// The transpose in sorted rows.
template <class Index>
struct Transpose {
    explicit Transpose(const Csr<Index>& csr) : start(csr.columns + 1), to(csr.edges()), position(csr.edges()) {
        transpose(csr, start.data(), to.data(), position.data());
    }
    Csr<Index> csr(int64_t columns) const { return {start.size() - 1, columns, start.data(), to.data()}; }

    Buffer<int64_t> start;
    Buffer<Index> to;
    Buffer<int64_t> position;
};

}  // namespace

int64_t Undirected::total_node_weight() const {
    return std::accumulate(node_weight.begin(), node_weight.end(), int64_t{0});
}

template <class Index>
Undirected undirected(const Adjacency<Index>& graph) {
    check(graph.rows == graph.columns && graph.rows < std::numeric_limits<int32_t>::max(),
          "graph: expected a square graph with fewer than 2^31 - 1 nodes, got ", graph.rows, " rows and ",
          graph.columns, " columns");
    validate<Index>(graph, graph.edges());
    const int64_t n = graph.rows;
    const Transpose<Index> columns(graph);
    const Transpose<Index> rows(columns.csr(n));

    Undirected u;
    u.node_weight.assign(static_cast<size_t>(n), 1);
    u.start.reserve(static_cast<size_t>(n) + 1);
    u.start.push_back(0);
    for (int64_t i = 0; i < n; ++i) {
        int64_t a = rows.start[i], b = columns.start[i];
        const int64_t a_end = rows.start[i + 1], b_end = columns.start[i + 1];
        while (a < a_end || b < b_end) {
            const bool from_rows = b == b_end || (a < a_end && rows.to[a] <= columns.to[b]);
            const auto j = static_cast<int32_t>(from_rows ? rows.to[a++] : columns.to[b++]);
            if (j == i) continue;
            if (static_cast<int64_t>(u.to.size()) > u.start.back() && u.to.back() == j) {
                ++u.weight.back();
            } else {
                u.to.push_back(j);
                u.weight.push_back(1);
            }
        }
        u.start.push_back(static_cast<int64_t>(u.to.size()));
    }
    return u;
}

template Undirected undirected(const Adjacency<int32_t>&);
template Undirected undirected(const Adjacency<int64_t>&);

}  // namespace moiety::graph
