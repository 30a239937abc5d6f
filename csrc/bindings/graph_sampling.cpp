#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "core/check.hpp"
#include "graph/partition.hpp"
#include "graph/reorder.hpp"
#include "graph/sample.hpp"
#include "graph/undirected.hpp"
#include "graph/vertex_cut.hpp"
#include "graph/walk.hpp"
#include "register.hpp"

namespace py = pybind11;
namespace graph = moiety::graph;
using moiety::check;

namespace {

using moiety::bindings::Array;
using moiety::bindings::give;
using moiety::bindings::in;

template <class Index>
graph::Adjacency<Index> adjacency(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns) {
    check(indptr.ndim() == 1 && indptr.size() >= 1 && index.ndim() == 1 && columns >= 0,
          "graph: expected indptr (rows + 1), indices (entries) and columns >= 0, got dimensions ", indptr.ndim(),
          " and ", index.ndim(), " and ", columns, " columns");
    check(indptr.data()[0] == 0 && indptr.data()[indptr.size() - 1] == index.size(),
          "graph: expected indptr from 0 to ", index.size(), ", got ", indptr.data()[0], " to ",
          indptr.data()[indptr.size() - 1]);
    return {{indptr.size() - 1, columns, indptr.data(), index.data()}};
}

template <class Index>
py::tuple sample(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns, const Array<int64_t>& seeds,
                 const std::vector<int64_t>& fanouts, bool replace, uint64_t seed, int threads) {
    const auto view = adjacency(indptr, index, columns);
    const auto from = in(seeds);
    graph::Sample s;
    {
        const py::gil_scoped_release release;
        s = graph::sample_neighbors(view, from, {fanouts, replace, seed, threads});
    }
    return py::make_tuple(give(std::move(s.nodes)), s.hops, give(std::move(s.indptr)), give(std::move(s.indices)),
                          give(std::move(s.edges)));
}

template <class Index>
Array<int64_t> walk(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns,
                    const Array<int64_t>& starts, int64_t length, double p, double q, uint64_t seed, int threads) {
    const auto view = adjacency(indptr, index, columns);
    check(length >= 1, "random_walks: expected a length >= 1, got ", length);
    Array<int64_t> walks(std::vector<py::ssize_t>{starts.size(), length + 1});
    const auto from = in(starts);
    const std::span<int64_t> out{walks.mutable_data(), static_cast<size_t>(walks.size())};
    const py::gil_scoped_release release;
    graph::random_walks(view, from, {length, p, q, seed, threads}, out);
    return walks;
}

template <class Index>
Array<int64_t> degree_order(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns) {
    const auto view = adjacency(indptr, index, columns);
    std::vector<int64_t> order;
    {
        const py::gil_scoped_release release;
        order = graph::degree_order(view);
    }
    return give(std::move(order));
}

template <class Index>
Array<int64_t> rcm_order(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns) {
    const auto view = adjacency(indptr, index, columns);
    std::vector<int64_t> order;
    {
        const py::gil_scoped_release release;
        order = graph::reverse_cuthill_mckee(graph::undirected(view));
    }
    return give(std::move(order));
}

template <class Index>
py::tuple undirected(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns) {
    const auto view = adjacency(indptr, index, columns);
    graph::Undirected u;
    {
        const py::gil_scoped_release release;
        u = graph::undirected(view);
    }
    return py::make_tuple(give(std::move(u.start)), give(std::move(u.to)), give(std::move(u.weight)));
}

template <class Index>
Array<int32_t> partition(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns,
                         const std::optional<Array<int64_t>>& node_weight, int64_t parts, double imbalance,
                         uint64_t seed) {
    const auto view = adjacency(indptr, index, columns);
    if (node_weight)
        check(node_weight->ndim() == 1 && node_weight->size() == view.rows, "partition: expected a weight for each of ",
              view.rows, " nodes, got ", node_weight->size());
    const auto weight = node_weight ? in(*node_weight) : std::span<const int64_t>();
    std::vector<int32_t> part;
    {
        const py::gil_scoped_release release;
        graph::Undirected u = graph::undirected(view);
        if (!weight.empty()) u.node_weight.assign(weight.begin(), weight.end());
        part = graph::partition(std::move(u), {parts, imbalance, seed});
    }
    return give(std::move(part));
}

graph::VertexCut method_of(const std::string& name) {
    if (name == "hdrf") return graph::VertexCut::hdrf;
    if (name == "greedy") return graph::VertexCut::greedy;
    if (name == "grid") return graph::VertexCut::grid;
    check(name == "random", "vertex_cut: expected hdrf, greedy, grid or random, got ", name);
    return graph::VertexCut::random;
}

template <class Index>
Array<int32_t> vertex_cut(const Array<int64_t>& indptr, const Array<Index>& index, int64_t columns,
                          const std::string& method, int64_t parts, double balance, double imbalance, uint64_t seed) {
    const auto view = adjacency(indptr, index, columns);
    const auto how = method_of(method);
    std::vector<int32_t> part;
    {
        const py::gil_scoped_release release;
        part = graph::vertex_cut(view, how, {parts, balance, imbalance, seed});
    }
    return give(std::move(part));
}

template <class Index>
void register_for(py::module_& m) {
    const auto indptr = py::arg("indptr").noconvert(), index = py::arg("indices").noconvert();
    const auto columns = py::arg("columns"), seed = py::arg("seed");
    m.def("sample_neighbors", &sample<Index>, indptr, index, columns, py::arg("seeds").noconvert(), py::arg("fanouts"),
          py::arg("replace"), seed, py::arg("threads"));
    m.def("random_walks", &walk<Index>, indptr, index, columns, py::arg("starts").noconvert(), py::arg("length"),
          py::arg("p"), py::arg("q"), seed, py::arg("threads"));
    m.def("degree_order", &degree_order<Index>, indptr, index, columns);
    m.def("rcm_order", &rcm_order<Index>, indptr, index, columns);
    m.def("undirected", &undirected<Index>, indptr, index, columns);
    m.def("partition", &partition<Index>, indptr, index, columns, py::arg("node_weight").noconvert().none(true),
          py::arg("parts"), py::arg("imbalance"), seed);
    m.def("vertex_cut", &vertex_cut<Index>, indptr, index, columns, py::arg("method"), py::arg("parts"),
          py::arg("balance"), py::arg("imbalance"), seed);
}

}  // namespace

void register_graph_sampling(py::module_& m) {
    py::module_ r =
        m.def_submodule("graph_sampling", "Samples, walks, orders and partitions; use moiety.graph instead.");
    register_for<int32_t>(r);
    register_for<int64_t>(r);
}
