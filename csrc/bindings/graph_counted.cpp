#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "graph/counted.hpp"
#include "register.hpp"

namespace py = pybind11;
namespace graph = moiety::graph;
using moiety::check;

namespace {

using Reals = py::array_t<double, py::array::c_style>;
using Integers = py::array_t<int64_t, py::array::c_style>;
using graph::Counter;
using graph::Features;

std::span<const double> in(const Reals& a) { return {a.data(), static_cast<size_t>(a.size())}; }
std::span<const int64_t> in(const Integers& a) { return {a.data(), static_cast<size_t>(a.size())}; }
std::span<double> out(Reals& a) { return {a.mutable_data(), static_cast<size_t>(a.size())}; }

// nodes x heads x width
Features features(const Reals& x, const char* what) {
    check(x.ndim() == 3, what, ": expected nodes x heads x width, got ", x.ndim(), " dimensions");
    return {in(x), x.shape(1), x.shape(2)};
}

moiety::graph::Csr<int64_t> pattern(const Integers& row_start, const Integers& column, int64_t columns) {
    check(row_start.size() >= 1, "row_start: expected at least one entry, got none");
    const moiety::graph::Csr<int64_t> p{row_start.size() - 1, columns, row_start.data(), column.data()};
    moiety::graph::validate(p, column.size());
    return p;
}

py::dict counted(const graph::Tally& t) {
    py::dict d;
    d["edges"] = t.edges;
    d["multiplies"] = t.multiplies;
    d["adds"] = t.adds;
    d["compares"] = t.compares;
    d["specials"] = t.specials;
    d["loaded"] = t.loaded;
    d["stored"] = t.stored;
    d["barriers"] = t.barriers;
    d["depth"] = t.depth;
    return d;
}

using Result = std::pair<Reals, py::dict>;
using Sizes = std::pair<int64_t, int64_t>;  // bytes of an element and of an index

Result spmm(const Sizes& sizes, const Integers& row_start, const Integers& column, const Reals& weights, const Reals& x,
            const std::string& reduce) {
    Counter c(sizes.first, sizes.second);
    const Features f = features(x, "spmm: x");
    Reals y({row_start.size() - 1, x.shape(1), x.shape(2)});
    counted_spmm(c, pattern(row_start, column, x.shape(0)), in(weights), f, graph::reduce_named(reduce), out(y));
    return {y, counted(c.tally)};
}

Result sddmm(const Sizes& sizes, const Integers& row_start, const Integers& column, const Reals& x, const Reals& y) {
    Counter c(sizes.first, sizes.second);
    const Features f = features(x, "sddmm: x"), g = features(y, "sddmm: y");
    Reals z({column.size(), x.shape(1)});
    counted_sddmm(c, pattern(row_start, column, y.shape(0)), f, g, out(z));
    return {z, counted(c.tally)};
}

Result edge_softmax(const Sizes& sizes, const Integers& row_start, const Integers& column, int64_t columns,
                    const Reals& scores) {
    Counter c(sizes.first, sizes.second);
    check(scores.ndim() == 2, "edge_softmax: expected edges x heads, got ", scores.ndim(), " dimensions");
    Reals z({scores.shape(0), scores.shape(1)});
    counted_edge_softmax(c, pattern(row_start, column, columns), in(scores), scores.shape(1), out(z));
    return {z, counted(c.tally)};
}

Result edge_softmax_backward(const Sizes& sizes, const Integers& row_start, const Integers& column, int64_t columns,
                             const Reals& alpha, const Reals& dalpha) {
    Counter c(sizes.first, sizes.second);
    check(alpha.ndim() == 2, "edge_softmax_backward: expected edges x heads, got ", alpha.ndim(), " dimensions");
    Reals z({alpha.shape(0), alpha.shape(1)});
    counted_edge_softmax_backward(c, pattern(row_start, column, columns), in(alpha), in(dalpha), alpha.shape(1),
                                  out(z));
    return {z, counted(c.tally)};
}

using Results = std::pair<std::vector<Reals>, py::dict>;

// y and, with `keep`, L, p and q.
Results gat(const Sizes& sizes, const Integers& row_start, const Integers& column, const Reals& x, const Reals& source,
            const Reals& target, double slope, bool keep) {
    Counter c(sizes.first, sizes.second);
    const Features f = features(x, "gat: x");
    const py::ssize_t rows = row_start.size() - 1, kept = keep ? rows : 0;
    std::vector<Reals> y{Reals({rows, x.shape(1), x.shape(2)}), Reals({kept, x.shape(1)}),
                         Reals({kept, x.shape(1), x.shape(2)}), Reals({kept, x.shape(1)})};
    const graph::CountedGatSaved saved{out(y[1]), out(y[2]), out(y[3])};
    counted_gat(c, pattern(row_start, column, x.shape(0)), f, in(source), in(target), slope, out(y[0]), saved);
    return {y, counted(c.tally)};
}

// dx, dscore_source, dscore_target.
Results gat_backward(const Sizes& sizes, const Integers& row_start, const Integers& column, const Reals& x,
                     const Reals& source, const Reals& target, double slope, const Reals& y,
                     const std::vector<Reals>& saved, const Reals& dy) {
    Counter c(sizes.first, sizes.second);
    check(saved.size() == 3, "gat_backward: expected L, p and q, got ", saved.size(), " arrays");
    const graph::CountedGatInputs inputs{features(x, "gat_backward: x"),
                                         features(y, "gat_backward: y"),
                                         features(dy, "gat_backward: dy"),
                                         in(source),
                                         in(target),
                                         in(saved[0]),
                                         in(saved[1]),
                                         in(saved[2]),
                                         slope};
    std::vector<Reals> d{Reals({x.shape(0), x.shape(1), x.shape(2)}), Reals({x.shape(0), x.shape(1)}),
                         Reals({y.shape(0), x.shape(1)})};
    counted_gat_backward(c, pattern(row_start, column, y.shape(0)), inputs, out(d[0]), out(d[1]), out(d[2]));
    return {d, counted(c.tally)};
}

Result gather(const Sizes& sizes, const Integers& index, const Reals& x) {
    Counter c(sizes.first, sizes.second);
    const Features f = features(x, "gather: x");
    Reals y({index.size(), x.shape(1), x.shape(2)});
    counted_gather(c, in(index), f, out(y));
    return {y, counted(c.tally)};
}

Result scatter(const Sizes& sizes, const Integers& index, const Reals& x, const Reals& into, const std::string& reduce,
               bool itself) {
    Counter c(sizes.first, sizes.second);
    const Features f = features(x, "scatter: x");
    features(into, "scatter: into");
    Reals y({into.shape(0), into.shape(1), into.shape(2)});
    std::copy(into.data(), into.data() + into.size(), y.mutable_data());
    counted_scatter(c, in(index), f, graph::reduce_named(reduce), itself, out(y));
    return {y, counted(c.tally)};
}

Result gemm(const Sizes& sizes, const Reals& a, const Reals& b, const Reals& bias) {
    Counter c(sizes.first, sizes.second);
    check(a.ndim() == 3 && b.ndim() == 3 && a.shape(0) == b.shape(0) && a.shape(2) == b.shape(1),
          "gemm: expected shapes (t, n, k) and (t, k, m), got ", a.ndim(), " and ", b.ndim(), " dimensions");
    Reals y({a.shape(0), a.shape(1), b.shape(2)});
    counted_gemm(c, in(a), in(b), in(bias), a.shape(0), a.shape(1), a.shape(2), b.shape(2), out(y));
    return {y, counted(c.tally)};
}

Result map(const Sizes& sizes, const std::string& function, const std::vector<Reals>& x,
           const std::vector<double>& scalars, int64_t size) {
    Counter c(sizes.first, sizes.second);
    std::vector<std::span<const double>> operands;
    for (const Reals& operand : x) operands.push_back(in(operand));
    check(size >= 0, "map: expected a size >= 0, got ", size);
    Reals y(size);
    counted_map(c, function, operands, scalars, out(y));
    return {y, counted(c.tally)};
}

Result fold(const Sizes& sizes, const std::string& function, const Reals& x) {
    Counter c(sizes.first, sizes.second);
    check(x.ndim() == 3, "fold: expected outer x length x inner, got ", x.ndim(), " dimensions");
    const bool like = function == "softmax" || function == "log_softmax";
    Reals y({x.shape(0), like ? x.shape(1) : 1, x.shape(2)});
    counted_fold(c, function, in(x), x.shape(0), x.shape(1), x.shape(2), out(y));
    return {y, counted(c.tally)};
}

}  // namespace

void register_graph_counted(py::module_& m) {
    py::module_ r = m.def_submodule(
        "graph_counted", "Graph kernels that count operations, bytes and depth; use moiety.cost.concurrency instead.");
    r.def("functions", &graph::counted_functions);
    r.def("spmm", &spmm);
    r.def("sddmm", &sddmm);
    r.def("edge_softmax", &edge_softmax);
    r.def("edge_softmax_backward", &edge_softmax_backward);
    r.def("gat", &gat);
    r.def("gat_backward", &gat_backward);
    r.def("gather", &gather);
    r.def("scatter", &scatter);
    r.def("gemm", &gemm);
    r.def("map", &map);
    r.def("fold", &fold);
}
