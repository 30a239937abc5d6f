#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <variant>

#include "core/check.hpp"
#include "graph/csr.hpp"
#include "graph/gat.hpp"
#include "graph/gate.hpp"
#include "graph/sddmm.hpp"
#include "graph/softmax.hpp"
#include "graph/spmm.hpp"
#include "register.hpp"

namespace py = pybind11;
namespace graph = moiety::graph;
using moiety::check;

namespace {

// As in nn.cpp, tensors come as addresses, which moiety.ops and moiety.graph have checked and keep alive.
template <class T>
T* pointer(uintptr_t address, const char* what) {
    check(address % alignof(T) == 0, what, ": expected the address of a tensor, got ", address);
    return reinterpret_cast<T*>(address);
}

// A pattern that was looked through, so that kernels need not do it again; its memory must not change.
struct Pattern {
    std::variant<graph::Csr<int32_t>, graph::Csr<int64_t>> csr;
    int64_t rows, columns, edges;
};

// `known`: a kernel of ours has made it.
Pattern make_pattern(int64_t rows, int64_t columns, int64_t edges, uintptr_t row_start, uintptr_t column, bool wide,
                     bool known) {
    check(rows >= 0 && columns >= 0 && edges >= 0, "graph: expected counts >= 0, got rows=", rows, " columns=", columns,
          " edges=", edges);
    check(row_start != 0 && (column != 0 || edges == 0), "graph: expected addresses of pointers and indices, got ",
          row_start, " and ", column);
    Pattern p{{}, rows, columns, edges};
    const auto fill = [&]<class I>(I) {
        const graph::Csr<I> csr{rows, columns, pointer<const int64_t>(row_start, "indptr"),
                                pointer<const I>(column, "indices")};
        const py::gil_scoped_release release;
        if (!known) graph::validate(csr, edges);
        p.csr = csr;
    };
    wide ? fill(int64_t{}) : fill(int32_t{});
    return p;
}

void build(uintptr_t target, uintptr_t source, int64_t edges, int64_t rows, int64_t columns, uintptr_t row_start,
           uintptr_t column, uintptr_t order, bool wide) {
    const auto run = [&]<class I>(I) {
        graph::build(pointer<const int64_t>(target, "target"), pointer<const int64_t>(source, "source"), edges, rows,
                     columns, pointer<int64_t>(row_start, "row_start"), pointer<I>(column, "column"),
                     pointer<int64_t>(order, "order"));
    };
    const py::gil_scoped_release release;
    wide ? run(int64_t{}) : run(int32_t{});
}

void transpose(const Pattern& p, uintptr_t column_start, uintptr_t row, uintptr_t entry) {
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::transpose(csr, pointer<int64_t>(column_start, "column_start"), pointer<I>(row, "row"),
                             pointer<int64_t>(entry, "entry"));
        },
        p.csr);
}

template <class T>
void spmm(const Pattern& p, uintptr_t x, uintptr_t y, int64_t width, uintptr_t weight, int64_t heads, uintptr_t order,
          bool mean, int threads) {
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::spmm<T, I>(csr, {pointer<const graph::Weight<T>>(weight, "weight"), heads},
                              pointer<const I>(order, "order"), pointer<const T>(x, "x"), pointer<T>(y, "y"), width,
                              mean, threads);
        },
        p.csr);
}

template <class T>
void spmm_extreme(const Pattern& p, uintptr_t x, uintptr_t y, uintptr_t argument, int64_t width, uintptr_t weight,
                  int64_t heads, uintptr_t order, bool least, int threads) {
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::spmm_extreme<T, I>(csr, {pointer<const graph::Weight<T>>(weight, "weight"), heads},
                                      pointer<const I>(order, "order"), pointer<const T>(x, "x"), pointer<T>(y, "y"),
                                      pointer<int32_t>(argument, "argument"), width, least, threads);
        },
        p.csr);
}

template <class T>
void spmm_extreme_backward(const Pattern& p, uintptr_t x, uintptr_t dy, uintptr_t argument, uintptr_t dx,
                           uintptr_t dweight, int64_t width, uintptr_t weight, int64_t heads, int threads) {
    using W = graph::Weight<T>;
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::spmm_extreme_backward<T, I>(csr, {pointer<const W>(weight, "weight"), heads},
                                               pointer<const T>(x, "x"), pointer<const T>(dy, "dy"),
                                               pointer<const int32_t>(argument, "argument"), pointer<W>(dx, "dx"),
                                               pointer<W>(dweight, "dweight"), width, threads);
        },
        p.csr);
}

template <class T>
void sddmm(const Pattern& p, uintptr_t x, uintptr_t y, uintptr_t result, int64_t heads, int64_t head_width,
           int threads) {
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::sddmm<T, I>(csr, pointer<const T>(x, "x"), pointer<const T>(y, "y"),
                               pointer<graph::Weight<T>>(result, "result"), heads, head_width, threads);
        },
        p.csr);
}

template <class T>
void gated_sum(const Pattern& p, uintptr_t own, uintptr_t other, uintptr_t values, uintptr_t sum, uintptr_t rise,
               int64_t width, int threads) {
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::gated_sum<T, I>(csr, pointer<const T>(own, "own"), pointer<const T>(other, "other"),
                                   pointer<const T>(values, "values"), pointer<T>(sum, "sum"), pointer<T>(rise, "rise"),
                                   width, threads);
        },
        p.csr);
}

const int64_t* row_start(const Pattern& p) {
    return std::visit([](const auto& csr) { return csr.row_start; }, p.csr);
}

template <class T>
void edge_softmax(const Pattern& p, int64_t heads, uintptr_t scores, uintptr_t alpha, int threads) {
    const py::gil_scoped_release release;
    graph::edge_softmax(row_start(p), p.rows, heads, pointer<const T>(scores, "scores"), pointer<T>(alpha, "alpha"),
                        threads);
}

template <class T>
void edge_softmax_backward(const Pattern& p, int64_t heads, uintptr_t alpha, uintptr_t dalpha, uintptr_t dscores,
                           int threads) {
    const py::gil_scoped_release release;
    graph::edge_softmax_backward(row_start(p), p.rows, heads, pointer<const T>(alpha, "alpha"),
                                 pointer<const T>(dalpha, "dalpha"), pointer<T>(dscores, "dscores"), threads);
}

// Addresses of L, p and q, all 0 where no gradient is wanted.
using Saved = std::tuple<uintptr_t, uintptr_t, uintptr_t>;

template <class T>
graph::GatSaved<T> saved_of(const Saved& s) {
    using W = graph::Weight<T>;
    const auto [log_sum, positive, share] = s;
    return {pointer<W>(log_sum, "log_sum"), pointer<W>(positive, "positive"), pointer<W>(share, "share")};
}

template <class T>
void gat_forward(const Pattern& p, int64_t heads, int64_t head_width, double slope, uintptr_t x, uintptr_t source,
                 uintptr_t target, uintptr_t y, const Saved& saved, int threads) {
    using W = graph::Weight<T>;
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::gat_forward<T, I>(csr, {heads, head_width, slope}, pointer<const T>(x, "x"),
                                     pointer<const W>(source, "score_source"), pointer<const W>(target, "score_target"),
                                     pointer<T>(y, "y"), saved_of<T>(saved), threads);
        },
        p.csr);
}

template <class T>
void gat_backward(const Pattern& by_source, int64_t heads, int64_t head_width, double slope, uintptr_t x,
                  uintptr_t source, uintptr_t target, uintptr_t y, const Saved& saved, uintptr_t dy, uintptr_t dx,
                  uintptr_t dsource, uintptr_t dtarget, int threads) {
    using W = graph::Weight<T>;
    const py::gil_scoped_release release;
    std::visit(
        [&]<class I>(const graph::Csr<I>& csr) {
            graph::gat_backward<T, I>(
                csr, {heads, head_width, slope}, pointer<const T>(x, "x"), pointer<const W>(source, "score_source"),
                pointer<const W>(target, "score_target"), pointer<const T>(y, "y"), saved_of<T>(saved),
                pointer<const T>(dy, "dy"), pointer<T>(dx, "dx"), pointer<W>(dsource, "dscore_source"),
                pointer<W>(dtarget, "dscore_target"), threads);
        },
        by_source.csr);
}

template <class T>
void register_attention(py::module_& g, const std::string& suffix) {
    g.def(("gat_forward_" + suffix).c_str(), &gat_forward<T>, py::arg("pattern"), py::arg("heads"),
          py::arg("head_width"), py::arg("slope"), py::arg("x"), py::arg("score_source"), py::arg("score_target"),
          py::arg("y"), py::arg("saved"), py::arg("threads"));
    g.def(("gat_backward_" + suffix).c_str(), &gat_backward<T>, py::arg("by_source"), py::arg("heads"),
          py::arg("head_width"), py::arg("slope"), py::arg("x"), py::arg("score_source"), py::arg("score_target"),
          py::arg("y"), py::arg("saved"), py::arg("dy"), py::arg("dx"), py::arg("dscore_source"),
          py::arg("dscore_target"), py::arg("threads"));
    if constexpr (!std::is_same_v<T, graph::Bf16>) {
        g.def(("gated_sum_" + suffix).c_str(), &gated_sum<T>, py::arg("pattern"), py::arg("own"), py::arg("other"),
              py::arg("values"), py::arg("sum"), py::arg("rise"), py::arg("width"), py::arg("threads"));
        g.def(("edge_softmax_" + suffix).c_str(), &edge_softmax<T>, py::arg("pattern"), py::arg("heads"),
              py::arg("scores"), py::arg("alpha"), py::arg("threads"));
        g.def(("edge_softmax_backward_" + suffix).c_str(), &edge_softmax_backward<T>, py::arg("pattern"),
              py::arg("heads"), py::arg("alpha"), py::arg("dalpha"), py::arg("dscores"), py::arg("threads"));
    }
}

template <class T>
void register_products(py::module_& g, const std::string& suffix) {
    g.def(("spmm_" + suffix).c_str(), &spmm<T>, py::arg("pattern"), py::arg("x"), py::arg("y"), py::arg("width"),
          py::arg("weight"), py::arg("heads"), py::arg("order"), py::arg("mean"), py::arg("threads"));
    if constexpr (!std::is_integral_v<T>) {
        g.def(("sddmm_" + suffix).c_str(), &sddmm<T>, py::arg("pattern"), py::arg("x"), py::arg("y"), py::arg("result"),
              py::arg("heads"), py::arg("head_width"), py::arg("threads"));
        g.def(("spmm_extreme_" + suffix).c_str(), &spmm_extreme<T>, py::arg("pattern"), py::arg("x"), py::arg("y"),
              py::arg("argument"), py::arg("width"), py::arg("weight"), py::arg("heads"), py::arg("order"),
              py::arg("least"), py::arg("threads"));
        g.def(("spmm_extreme_backward_" + suffix).c_str(), &spmm_extreme_backward<T>, py::arg("pattern"), py::arg("x"),
              py::arg("dy"), py::arg("argument"), py::arg("dx"), py::arg("dweight"), py::arg("width"),
              py::arg("weight"), py::arg("heads"), py::arg("threads"));
    }
}

}  // namespace

void register_graph(py::module_& m) {
    py::module_ g =
        m.def_submodule("graph", "Kernels of graphs, on addresses; use moiety.graph and moiety.ops instead.");
    py::class_<Pattern>(g, "Pattern")
        .def(py::init(&make_pattern), py::arg("rows"), py::arg("columns"), py::arg("edges"), py::arg("row_start"),
             py::arg("column"), py::arg("wide"), py::arg("known") = false)
        .def_readonly("rows", &Pattern::rows)
        .def_readonly("columns", &Pattern::columns)
        .def_readonly("edges", &Pattern::edges);
    g.def("build", &build, py::arg("target"), py::arg("source"), py::arg("edges"), py::arg("rows"), py::arg("columns"),
          py::arg("row_start"), py::arg("column"), py::arg("order"), py::arg("wide"));
    g.def("transpose", &transpose, py::arg("pattern"), py::arg("column_start"), py::arg("row"), py::arg("entry"));
    register_products<float>(g, "f32");
    register_products<double>(g, "f64");
    register_products<graph::Bf16>(g, "bf16");
    register_products<uint32_t>(g, "u32");
    register_products<uint64_t>(g, "u64");
    register_attention<float>(g, "f32");
    register_attention<double>(g, "f64");
    register_attention<graph::Bf16>(g, "bf16");
}
