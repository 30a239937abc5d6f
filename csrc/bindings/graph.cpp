#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <variant>

#include "core/check.hpp"
#include "graph/csr.hpp"
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

Pattern make_pattern(int64_t rows, int64_t columns, int64_t edges, uintptr_t row_start, uintptr_t column, bool wide) {
    check(rows >= 0 && columns >= 0 && edges >= 0, "graph: expected counts >= 0, got rows=", rows, " columns=", columns,
          " edges=", edges);
    check(row_start != 0 && (column != 0 || edges == 0), "graph: expected addresses of pointers and indices, got ",
          row_start, " and ", column);
    Pattern p{{}, rows, columns, edges};
    const auto fill = [&]<class I>(I) {
        const graph::Csr<I> csr{rows, columns, pointer<const int64_t>(row_start, "indptr"),
                                pointer<const I>(column, "indices")};
        const py::gil_scoped_release release;
        graph::validate(csr, edges);
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

}  // namespace

void register_graph(py::module_& m) {
    py::module_ g =
        m.def_submodule("graph", "Kernels of graphs, on addresses; use moiety.graph and moiety.ops instead.");
    py::class_<Pattern>(g, "Pattern")
        .def(py::init(&make_pattern), py::arg("rows"), py::arg("columns"), py::arg("edges"), py::arg("row_start"),
             py::arg("column"), py::arg("wide"))
        .def_readonly("rows", &Pattern::rows)
        .def_readonly("columns", &Pattern::columns)
        .def_readonly("edges", &Pattern::edges);
    g.def("build", &build, py::arg("target"), py::arg("source"), py::arg("edges"), py::arg("rows"), py::arg("columns"),
          py::arg("row_start"), py::arg("column"), py::arg("order"), py::arg("wide"));
    g.def("transpose", &transpose, py::arg("pattern"), py::arg("column_start"), py::arg("row"), py::arg("entry"));
}
