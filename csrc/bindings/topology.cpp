#include <pybind11/stl.h>

#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/arrays.hpp"
#include "core/check.hpp"
#include "core/parallel.hpp"
#include "register.hpp"
#include "topology/barcode.hpp"
#include "topology/events.hpp"
#include "topology/flag.hpp"
#include "topology/image.hpp"
#include "topology/representatives.hpp"
#include "topology/series.hpp"

namespace py = pybind11;
namespace topology = moiety::topology;
using moiety::check;

namespace {

using moiety::bindings::Array;
using moiety::bindings::give;
using moiety::bindings::in;

template <class T>
Array<T> copy(const std::vector<T>& values) {
    return give(std::vector<T>(values));
}

py::tuple give(topology::Bars&& bars) {
    return py::make_tuple(give(std::move(bars.dimension)), give(std::move(bars.first)), give(std::move(bars.last)),
                          give(std::move(bars.kind)));
}

py::dict give(const topology::Work& w) {
    py::dict d;
    d["cells"] = w.cells;
    d["matched"] = w.matched;
    d["critical"] = w.critical;
    d["blocks"] = w.blocks;
    d["columns"] = w.columns;
    d["additions"] = w.additions;
    d["entries"] = w.entries;
    d["stored"] = w.stored;
    d["bytes"] = w.bytes;
    return d;
}

void check_dimension(int max_dimension) {
    check(max_dimension >= 0 && max_dimension <= 120, "max_dimension: expected 0 to 120, got ", max_dimension);
}

topology::Cells of_events(const Array<int64_t>& start, const Array<int32_t>& vertex, const Array<uint8_t>& insertion) {
    const py::gil_scoped_release release;
    return topology::cells_of_events({in(start), in(vertex)}, in(insertion));
}

std::pair<topology::Cells, Array<int32_t>> of_intervals(const Array<int64_t>& start, const Array<int32_t>& vertex,
                                                        const Array<int32_t>& enter, const Array<int32_t>& exit,
                                                        int32_t positions) {
    std::vector<int32_t> order;
    topology::Cells cells;
    {
        const py::gil_scoped_release release;
        cells = topology::cells_of_intervals({in(start), in(vertex)}, in(enter), in(exit), positions, order);
    }
    return {std::move(cells), give(std::move(order))};
}

topology::Snapshots snapshots(int32_t nodes, const Array<int64_t>& start, const Array<int32_t>& tail,
                              const Array<int32_t>& head) {
    topology::Snapshots s{nodes, in(start), in(tail), in(head)};
    s.validate();
    return s;
}

topology::Mode mode(int number) {
    check(number == 0 || number == 1, "mode: expected 0 (paper) or 1 (code), got ", number);
    return static_cast<topology::Mode>(number);
}

topology::Cells of_snapshots(int32_t nodes, const Array<int64_t>& start, const Array<int32_t>& tail,
                             const Array<int32_t>& head, int which, int max_dimension) {
    check_dimension(max_dimension);
    const py::gil_scoped_release release;
    return topology::flag_cells(topology::timed_graph(snapshots(nodes, start, tail, head), mode(which)), max_dimension);
}

topology::Cells of_timed_graph(int32_t positions, const Array<int32_t>& vertex_enter, const Array<int32_t>& vertex_exit,
                               const Array<int32_t>& tail, const Array<int32_t>& head, const Array<int32_t>& enter,
                               const Array<int32_t>& exit, int max_dimension) {
    check_dimension(max_dimension);
    check(vertex_enter.size() == vertex_exit.size() && tail.size() == head.size() && tail.size() == enter.size() &&
              tail.size() == exit.size(),
          "timed graph: expected as many first as last positions of vertices, and as many tails, heads, first and last "
          "positions of edges");
    topology::TimedGraph g;
    g.positions = positions;
    const auto fill = [](std::vector<int32_t>& to, const Array<int32_t>& from) {
        to.assign(from.data(), from.data() + from.size());
    };
    fill(g.vertex_enter, vertex_enter);
    fill(g.vertex_exit, vertex_exit);
    fill(g.tail, tail);
    fill(g.head, head);
    fill(g.enter, enter);
    fill(g.exit, exit);
    const py::gil_scoped_release release;
    return topology::flag_cells(g, max_dimension);
}

topology::BarcodeOptions options(int max_dimension, bool compressed, int64_t block, double alive) {
    check_dimension(max_dimension);
    check(block >= 1 && alive >= 0, "blocks: expected at least one cell and a ratio >= 0, got ", block, " and ", alive);
    return {max_dimension, compressed, {block, alive}};
}

py::tuple barcode(const topology::Cells& cells, int max_dimension, bool compressed, int64_t block, double alive) {
    const auto how = options(max_dimension, compressed, block, alive);
    topology::Work work;
    topology::Bars bars;
    {
        const py::gil_scoped_release release;
        bars = topology::barcode(cells, how, work);
    }
    return py::make_tuple(give(std::move(bars)), give(work));
}

py::tuple bars_with_cycles(const topology::Cells& cells, int max_dimension) {
    check_dimension(max_dimension);
    topology::BarsWithCycles found;
    std::vector<int64_t> start{0};
    std::vector<int32_t> cell;
    {
        const py::gil_scoped_release release;
        found = topology::bars_with_cycles(cells, max_dimension);
        for (const auto& cycle : found.cycles) {
            cell.insert(cell.end(), cycle.begin(), cycle.end());
            start.push_back(static_cast<int64_t>(cell.size()));
        }
    }
    return py::make_tuple(give(std::move(found.bars)), give(std::move(start)), give(std::move(cell)));
}

py::tuple series_barcode(int32_t nodes, const Array<int64_t>& start, const Array<int32_t>& tail,
                         const Array<int32_t>& head, int which, int max_dimension, int32_t chunk, int64_t block,
                         double alive) {
    const auto how = options(max_dimension, true, block, alive);
    topology::Work work;
    topology::Bars bars;
    {
        const py::gil_scoped_release release;
        bars = topology::series_barcode(snapshots(nodes, start, tail, head), mode(which), how, chunk, work);
    }
    return py::make_tuple(give(std::move(bars)), give(work));
}

// Of the steps first[k], ..., until[k] - 1 for every k: windows that lie within one part have that part's bars.
std::vector<py::tuple> series_barcodes(int32_t nodes, const Array<int64_t>& start, const Array<int32_t>& tail,
                                       const Array<int32_t>& head, int which, int max_dimension, int32_t chunk,
                                       int64_t block, double alive, const Array<int32_t>& first,
                                       const Array<int32_t>& until, int threads) {
    const auto how = options(max_dimension, true, block, alive);
    std::vector<topology::Bars> bars(static_cast<size_t>(first.size()));
    const auto from = in(first), to = in(until);
    check(from.size() == to.size(), "series: expected as many ends of parts as beginnings, got ", to.size(), " for ",
          from.size());
    {
        const py::gil_scoped_release release;
        const auto whole = snapshots(nodes, start, tail, head);
        moiety::parallel_for(static_cast<int64_t>(bars.size()), 1, threads, [&](int64_t begin, int64_t end) {
            for (auto k = static_cast<size_t>(begin); k < static_cast<size_t>(end); ++k) {
                check(from[k] >= 0 && from[k] < to[k] && to[k] <= whole.steps(), "series: expected parts within ",
                      whole.steps(), " steps, got ", from[k], " to ", to[k]);
                topology::Work work;
                bars[k] = topology::series_barcode(whole.part(from[k], to[k]), mode(which), how, chunk, work);
            }
        });
    }
    std::vector<py::tuple> found;
    for (auto& b : bars) found.push_back(give(std::move(b)));
    return found;
}

// Tensors come as addresses, which moiety.ops has checked and keeps alive.
template <class T>
T* pointer(uintptr_t address) {
    check(address % alignof(T) == 0, "images: expected the address of a tensor, got ", address);
    return reinterpret_cast<T*>(address);
}

template <class T>
topology::Factors<T> factors(int64_t images, int64_t rights, int64_t terms, int64_t side, uintptr_t left,
                             uintptr_t right, uintptr_t own) {
    check(images >= 0 && rights >= 0 && terms >= 0 && side >= 1, "images: expected counts >= 0 and a side >= 1, got ",
          images, ", ", rights, ", ", terms, ", ", side);
    return {images, rights, terms, side, pointer<const T>(left), pointer<const T>(right), pointer<const int64_t>(own)};
}

// left: one address, or those of counts, weights and the factors of deaths.
template <class T>
void render(std::tuple<int64_t, int64_t, int64_t, int64_t> sizes,
            std::variant<uintptr_t, std::tuple<uintptr_t, uintptr_t, uintptr_t>> left, uintptr_t right, uintptr_t own,
            bool scaled, uintptr_t y, uintptr_t at, uintptr_t scale, int threads) {
    const auto [images, rights, terms, side] = sizes;
    const py::gil_scoped_release release;
    const auto* given = std::get_if<uintptr_t>(&left);
    auto f = factors<T>(images, rights, terms, side, given == nullptr ? 0 : *given, right, own);
    if (given == nullptr) {
        const auto [count, weight, up] = std::get<1>(left);
        f.count = pointer<const int32_t>(count);
        f.weight = pointer<const T>(weight);
        f.up = pointer<const T>(up);
    }
    topology::render(f, scaled, pointer<T>(y), pointer<int64_t>(at), pointer<T>(scale), threads);
}

template <class T>
void render_backward(std::tuple<int64_t, int64_t, int64_t, int64_t> sizes, uintptr_t left, uintptr_t right,
                     uintptr_t own, uintptr_t y, uintptr_t at, uintptr_t scale, uintptr_t dy, uintptr_t dleft,
                     uintptr_t dright, int threads) {
    const auto [images, rights, terms, side] = sizes;
    const py::gil_scoped_release release;
    topology::render_backward(factors<T>(images, rights, terms, side, left, right, own), pointer<const T>(y),
                              pointer<const int64_t>(at), pointer<const T>(scale), pointer<const T>(dy),
                              pointer<T>(dleft), pointer<T>(dright), threads);
}

}  // namespace

void register_topology(py::module_& parent) {
    auto m = parent.def_submodule("topology", "Zigzag persistence.");
    py::class_<topology::Cells>(m, "Cells", "A zigzag of cell complexes (csrc/topology/cells.hpp).")
        .def("__len__", &topology::Cells::size)
        .def_readonly("positions", &topology::Cells::positions)
        .def_property_readonly("bytes", &topology::Cells::bytes)
        .def("dimension", [](const topology::Cells& c) { return copy(c.dimension); })
        .def("enter", [](const topology::Cells& c) { return copy(c.enter); })
        .def("exit", [](const topology::Cells& c) { return copy(c.exit); })
        .def("boundary", [](const topology::Cells& c) { return py::make_tuple(copy(c.start), copy(c.face)); })
        .def("validate", [](const topology::Cells& c) { topology::validate(c); });
    m.def("cells_of_events", &of_events, py::arg("start"), py::arg("vertex"), py::arg("insertion"));
    m.def("cells_of_intervals", &of_intervals, py::arg("start"), py::arg("vertex"), py::arg("enter"), py::arg("exit"),
          py::arg("positions"));
    m.def("cells_of_snapshots", &of_snapshots, py::arg("nodes"), py::arg("start"), py::arg("tail"), py::arg("head"),
          py::arg("mode"), py::arg("max_dimension"));
    m.def("cells_of_timed_graph", &of_timed_graph, py::arg("positions"), py::arg("vertex_enter"),
          py::arg("vertex_exit"), py::arg("tail"), py::arg("head"), py::arg("enter"), py::arg("exit"),
          py::arg("max_dimension"));
    m.def("bars_with_cycles", &bars_with_cycles, py::arg("cells"), py::arg("max_dimension"));
    m.def("series_barcode", &series_barcode, py::arg("nodes"), py::arg("start"), py::arg("tail"), py::arg("head"),
          py::arg("mode"), py::arg("max_dimension"), py::arg("chunk"), py::arg("block"), py::arg("alive"));
    m.def("series_barcodes", &series_barcodes, py::arg("nodes"), py::arg("start"), py::arg("tail"), py::arg("head"),
          py::arg("mode"), py::arg("max_dimension"), py::arg("chunk"), py::arg("block"), py::arg("alive"),
          py::arg("first"), py::arg("until"), py::arg("threads"));
    m.def("barcode", &barcode, py::arg("cells"), py::arg("max_dimension"), py::arg("compressed"), py::arg("block"),
          py::arg("alive"));
    m.def("render_f32", &render<float>);
    m.def("render_f64", &render<double>);
    m.def("render_backward_f32", &render_backward<float>);
    m.def("render_backward_f64", &render_backward<double>);
}
