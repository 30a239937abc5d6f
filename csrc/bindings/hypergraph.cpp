#include <pybind11/pybind11.h>

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "core/check.hpp"
#include "hypergraph/matrix.hpp"
#include "hypergraph/pairs.hpp"
#include "hypergraph/smooth.hpp"
#include "register.hpp"

namespace py = pybind11;
namespace hypergraph = moiety::hypergraph;
using hypergraph::Hypergraph;
using hypergraph::Pairs;
using hypergraph::Rule;
using hypergraph::Stars;
using moiety::check;

namespace {

// As in graph.cpp, tensors come as addresses, which moiety.ops and moiety.graph have checked and keep alive.
template <class T>
T* pointer(uintptr_t address, const char* what) {
    check(address % alignof(T) == 0, what, ": expected the address of a tensor, got ", address);
    return reinterpret_cast<T*>(address);
}

Hypergraph make_hypergraph(int64_t nodes, int64_t hyperedges, int64_t incidences, uintptr_t member_start,
                           uintptr_t member, uintptr_t holder_start, uintptr_t holder, uintptr_t place,
                           uintptr_t weight) {
    constexpr int64_t most = std::numeric_limits<int32_t>::max();
    check(nodes >= 0 && hyperedges >= 0 && incidences >= 0 && nodes < most && hyperedges < most,
          "hypergraph: expected counts >= 0, of nodes and hyperedges below 2^31 - 1, got nodes=", nodes,
          " hyperedges=", hyperedges, " incidences=", incidences);
    check(member_start != 0 && holder_start != 0 && (incidences == 0 || (member != 0 && holder != 0 && place != 0)),
          "hypergraph: expected addresses of pointers and indices, got none");
    Hypergraph h{
        {hyperedges, nodes, pointer<const int64_t>(member_start, "indptr"), pointer<const int32_t>(member, "indices")},
        {nodes, hyperedges, pointer<const int64_t>(holder_start, "indptr"), pointer<const int32_t>(holder, "indices")},
        pointer<const int64_t>(place, "place"),
        pointer<const double>(weight, "weight")};
    const py::gil_scoped_release release;
    hypergraph::validate(h, incidences);
    h.facts = hypergraph::facts_of(h);
    return h;
}

Pairs pairs_of(const Hypergraph& h, uintptr_t first, uintptr_t second, bool known) {
    check(h.hyperedges() == 0 || (first != 0 && second != 0), "hypergraph: expected addresses of pairs, got none");
    return {pointer<const int32_t>(first, "first"), pointer<const int32_t>(second, "second"), known};
}

template <class T>
void pairs_by_projection(const Hypergraph& h, uintptr_t signal, int64_t width, uintptr_t direction, uintptr_t first,
                         uintptr_t second, int threads) {
    const py::gil_scoped_release release;
    hypergraph::pairs_by_projection(h, pointer<const T>(signal, "signal"), width,
                                    pointer<const double>(direction, "direction"), pointer<int32_t>(first, "first"),
                                    pointer<int32_t>(second, "second"), threads);
}

template <class T>
void pairs_exact(const Hypergraph& h, uintptr_t signal, int64_t width, uintptr_t first, uintptr_t second, int threads) {
    const py::gil_scoped_release release;
    hypergraph::pairs_exact(h, pointer<const T>(signal, "signal"), width, pointer<int32_t>(first, "first"),
                            pointer<int32_t>(second, "second"), threads);
}

template <class T>
int64_t laplacian(const Hypergraph& h, bool mediators, bool code, uintptr_t first, uintptr_t second, bool known,
                  uintptr_t row_start, uintptr_t column, uintptr_t value, int threads) {
    const py::gil_scoped_release release;
    return hypergraph::laplacian(h, Rule{mediators, code}, pairs_of(h, first, second, known),
                                 pointer<int64_t>(row_start, "row_start"), pointer<int32_t>(column, "column"),
                                 pointer<T>(value, "value"), threads);
}

template <class T>
int64_t clique(const Hypergraph& h, bool hgnn, uintptr_t row_start, uintptr_t column, uintptr_t value, int threads) {
    const py::gil_scoped_release release;
    return hypergraph::clique(h, hgnn, pointer<int64_t>(row_start, "row_start"), pointer<int32_t>(column, "column"),
                              pointer<T>(value, "value"), threads);
}

template <class T>
Stars<T> make_stars(const Hypergraph& h, bool mediators, bool code, uintptr_t first, uintptr_t second,
                    [[maybe_unused]] int fraction_bits, int threads) {
    const py::gil_scoped_release release;
    const Pairs pairs = pairs_of(h, first, second, false);
    if constexpr (std::is_integral_v<T>)
        return in_ring(h, hypergraph::make_stars<double>(h, {mediators, code}, pairs, threads), fraction_bits, threads);
    else
        return hypergraph::make_stars<T>(h, {mediators, code}, pairs, threads);
}

template <class T>
void smooth(const Hypergraph& h, const Stars<T>& stars, uintptr_t x, uintptr_t y, int64_t width, int threads) {
    const py::gil_scoped_release release;
    hypergraph::smooth(h, stars, pointer<const T>(x, "x"), pointer<T>(y, "y"), width, threads);
}

template <class T>
void register_type(py::module_& g, const std::string& suffix) {
    py::class_<Stars<T>>(g, ("Stars_" + suffix).c_str())
        .def(py::init(&make_stars<T>), py::arg("hypergraph"), py::arg("mediators"), py::arg("code"), py::arg("first"),
             py::arg("second"), py::arg("fraction_bits"), py::arg("threads"));
    g.def(("smooth_" + suffix).c_str(), &smooth<T>, py::arg("hypergraph"), py::arg("stars"), py::arg("x"), py::arg("y"),
          py::arg("width"), py::arg("threads"));
    if constexpr (!std::is_integral_v<T>) {
        g.def(("pairs_by_projection_" + suffix).c_str(), &pairs_by_projection<T>, py::arg("hypergraph"),
              py::arg("signal"), py::arg("width"), py::arg("direction"), py::arg("first"), py::arg("second"),
              py::arg("threads"));
        g.def(("pairs_exact_" + suffix).c_str(), &pairs_exact<T>, py::arg("hypergraph"), py::arg("signal"),
              py::arg("width"), py::arg("first"), py::arg("second"), py::arg("threads"));
        g.def(("laplacian_" + suffix).c_str(), &laplacian<T>, py::arg("hypergraph"), py::arg("mediators"),
              py::arg("code"), py::arg("first"), py::arg("second"), py::arg("known"), py::arg("row_start"),
              py::arg("column"), py::arg("value"), py::arg("threads"));
        g.def(("clique_" + suffix).c_str(), &clique<T>, py::arg("hypergraph"), py::arg("hgnn"), py::arg("row_start"),
              py::arg("column"), py::arg("value"), py::arg("threads"));
    }
}

}  // namespace

void register_hypergraph(py::module_& m) {
    py::module_ g =
        m.def_submodule("hypergraph", "Kernels of hypergraphs, on addresses; use moiety.graph and moiety.ops instead.");
    py::class_<Hypergraph>(g, "Hypergraph")
        .def(py::init(&make_hypergraph), py::arg("nodes"), py::arg("hyperedges"), py::arg("incidences"),
             py::arg("member_start"), py::arg("member"), py::arg("holder_start"), py::arg("holder"), py::arg("place"),
             py::arg("weight"))
        .def(
            "laplacian_capacity",
            [](const Hypergraph& h, bool mediators) { return hypergraph::laplacian_capacity(h, {mediators, false}); },
            py::arg("mediators"))
        .def("clique_capacity", &hypergraph::clique_capacity);
    register_type<float>(g, "f32");
    register_type<double>(g, "f64");
    register_type<uint64_t>(g, "u64");
}
