#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "core/check.hpp"
#include "graph/csr.hpp"
#include "graph/spmm.hpp"
#include "register.hpp"
#include "ring/conv.hpp"
#include "ring/elementwise.hpp"
#include "ring/fixed_point.hpp"
#include "ring/gemm.hpp"
#include "ring/peak.hpp"
#include "ring/pool.hpp"

namespace py = pybind11;
namespace graph = moiety::graph;
namespace ring = moiety::ring;
using moiety::check;

namespace {

using Extents = std::array<int64_t, 3>;

using moiety::bindings::Array;
using moiety::bindings::in;
using moiety::bindings::out;

template <class T>
Array<T> like(const py::array& a) {
    return Array<T>(std::vector<py::ssize_t>(a.shape(), a.shape() + a.ndim()));
}

template <class T>
Array<T> matmul(const Array<T>& a, const Array<T>& b, int threads) {
    check(a.ndim() == 2 && b.ndim() == 2 && a.shape(1) == b.shape(0),
          "matmul: expected shapes (m, k) and (k, n), got dimensions ", a.ndim(), " and ", b.ndim());
    Array<T> c({a.shape(0), b.shape(1)});
    const T *pa = a.data(), *pb = b.data();
    T* pc = c.mutable_data();
    const int64_t m = a.shape(0), k = a.shape(1), n = b.shape(1);
    const py::gil_scoped_release release;
    ring::gemm(pa, k, pb, n, pc, n, m, n, k, false, threads);
    return c;
}

template <class T>
Array<T> conv(const Array<T>& x, const Array<T>& w, const Extents& stride, const Extents& padding,
              const Extents& dilation, const Extents& output_padding, int64_t groups, bool transposed, int threads) {
    check(x.ndim() == 5 && w.ndim() == 5, "conv: expected five dimensions, got ", x.ndim(), " and ", w.ndim());
    check(groups >= 1, "conv: expected groups >= 1, got ", groups);
    ring::ConvShape s;
    s.batch = x.shape(0);
    s.in_channels = x.shape(1);
    s.groups = groups;
    s.transposed = transposed;
    s.out_channels = transposed ? w.shape(1) * groups : w.shape(0);
    for (py::ssize_t d = 0; d < 3; ++d) {
        s.in[static_cast<size_t>(d)] = x.shape(d + 2);
        s.kernel[static_cast<size_t>(d)] = w.shape(d + 2);
    }
    s.stride = stride;
    s.padding = padding;
    s.dilation = dilation;
    s.output_padding = output_padding;
    s.validate();
    check(w.size() == s.weight_size() && w.shape(0) == (transposed ? s.in_channels : s.out_channels), "conv: expected ",
          s.in_channels / groups, " input channels a group, got weights of ", w.shape(0), "x", w.shape(1),
          " channels for ", s.describe());
    const Extents o = s.out();
    Array<T> y(std::vector<py::ssize_t>{s.batch, s.out_channels, o[0], o[1], o[2]});
    const T *px = x.data(), *pw = w.data();
    T* pointer = y.mutable_data();
    const py::gil_scoped_release release;
    ring::conv(px, pw, pointer, s, false, threads);
    return y;
}

template <class T>
Array<T> pool_sum(const Array<T>& x, const Extents& kernel, const Extents& stride, const Extents& padding,
                  int threads) {
    check(x.ndim() == 4, "pool_sum: expected four dimensions, got ", x.ndim());
    const ring::PoolShape s{x.shape(0), {x.shape(1), x.shape(2), x.shape(3)}, kernel, stride, padding};
    s.validate();
    const Extents o = s.out();
    Array<T> y(std::vector<py::ssize_t>{s.planes, o[0], o[1], o[2]});
    const T* px = x.data();
    T* target = y.mutable_data();
    const py::gil_scoped_release release;
    ring::pool_sum(px, target, s, threads);
    return y;
}

template <class T>
Array<T> adaptive_pool_sum(const Array<T>& x, const Extents& o, int threads) {
    check(x.ndim() == 4, "adaptive_pool_sum: expected four dimensions, got ", x.ndim());
    check(o[0] >= 1 && o[1] >= 1 && o[2] >= 1, "adaptive_pool_sum: expected a positive output size, got ", o[0], "x",
          o[1], "x", o[2]);
    Array<T> y(std::vector<py::ssize_t>{x.shape(0), o[0], o[1], o[2]});
    const T* px = x.data();
    T* target = y.mutable_data();
    const int64_t planes = x.shape(0);
    const Extents extents{x.shape(1), x.shape(2), x.shape(3)};
    const py::gil_scoped_release release;
    ring::adaptive_pool_sum(px, target, planes, extents, o, threads);
    return y;
}

template <class T>
Array<T> sum(const Array<T>& x, int threads) {
    check(x.ndim() == 3, "sum: expected three dimensions, got ", x.ndim());
    Array<T> y(std::vector<py::ssize_t>{x.shape(0), x.shape(2)});
    const auto source = in(x);
    const auto target = out(y);
    const int64_t outer = x.shape(0), n = x.shape(1), inner = x.shape(2);
    const py::gil_scoped_release release;
    ring::sum(source, outer, n, inner, target, threads);
    return y;
}

// The kernel is that of graphs, in the ring: csrc/graph/spmm.hpp.
template <class T, class I>
Array<T> csr_matmul(const Array<int64_t>& row_start, const Array<I>& column, const py::object& values,
                    const Array<T>& x, int threads) {
    check(row_start.ndim() == 1 && row_start.size() >= 1 && column.ndim() == 1 && x.ndim() == 2,
          "csr_matmul: expected row_start (rows + 1), column (entries) and x (columns, width), got dimensions ",
          row_start.ndim(), ", ", column.ndim(), " and ", x.ndim());
    const graph::Csr<I> pattern{row_start.size() - 1, x.shape(0), row_start.data(), column.data()};
    Array<T> held;
    graph::EdgeWeights<T> weights;
    if (!values.is_none()) {
        held = py::cast<Array<T>>(values);
        check(held.ndim() == 1 && held.size() == column.size(), "csr_matmul: expected one value an entry (",
              column.size(), "), got ", held.size());
        weights.values = held.data();
    }
    Array<T> y({row_start.shape(0) - 1, x.shape(1)});
    const T* source = x.data();
    T* target = y.mutable_data();
    const int64_t width = x.shape(1), entries = column.size();
    const py::gil_scoped_release release;
    graph::validate(pattern, entries);
    graph::spmm<T, I>(pattern, weights, nullptr, source, target, width, false, threads);
    return y;
}

template <class T, class F>
Array<T> encode(const Array<F>& x, int fraction_bits, int threads) {
    Array<T> y = like<T>(x);
    const auto source = in(x);
    const auto target = out(y);
    const py::gil_scoped_release release;
    ring::encode<T, F>(source, fraction_bits, target, threads);
    return y;
}

template <class T, class F>
Array<F> decode(const Array<T>& x, int fraction_bits, int threads) {
    Array<F> y = like<F>(x);
    const auto source = in(x);
    const auto target = out(y);
    const py::gil_scoped_release release;
    ring::decode<T, F>(source, fraction_bits, target, threads);
    return y;
}

template <class T, auto Kernel>
Array<T> binary(const Array<T>& a, const Array<T>& b, int threads) {
    Array<T> y = like<T>(a);
    const auto pa = in(a), pb = in(b);
    const auto target = out(y);
    const py::gil_scoped_release release;
    Kernel(pa, pb, target, threads);
    return y;
}

template <class T, auto Kernel>
Array<T> shift(const Array<T>& a, int bits, int threads) {
    Array<T> y = like<T>(a);
    const auto pa = in(a);
    const auto target = out(y);
    const py::gil_scoped_release release;
    Kernel(pa, bits, target, threads);
    return y;
}

template <class T>
Array<T> multiply_add(const Array<T>& a, const Array<T>& b, const Array<T>& c, int threads) {
    Array<T> y = like<T>(a);
    const auto pa = in(a), pb = in(b), pc = in(c);
    const auto target = out(y);
    const py::gil_scoped_release release;
    ring::multiply_add<T>(pa, pb, pc, target, threads);
    return y;
}

template <class T>
Array<T> scale(const Array<T>& a, T factor, int threads) {
    Array<T> y = like<T>(a);
    const auto pa = in(a);
    const auto target = out(y);
    const py::gil_scoped_release release;
    ring::scale<T>(pa, factor, target, threads);
    return y;
}

template <class T>
Array<T> negate(const Array<T>& a, int threads) {
    Array<T> y = like<T>(a);
    const auto pa = in(a);
    const auto target = out(y);
    const py::gil_scoped_release release;
    ring::negate<T>(pa, target, threads);
    return y;
}

template <class T>
void register_for(py::module_& m, const std::string& encode_name) {
    const auto a = py::arg("a").noconvert(), b = py::arg("b").noconvert(), x = py::arg("x").noconvert();
    const py::arg threads("threads");
    m.def("matmul", &matmul<T>, a, b, threads);
    m.def("conv", &conv<T>, x, py::arg("w").noconvert(), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
          py::arg("output_padding"), py::arg("groups"), py::arg("transposed"), threads);
    m.def("pool_sum", &pool_sum<T>, x, py::arg("kernel"), py::arg("stride"), py::arg("padding"), threads);
    m.def("adaptive_pool_sum", &adaptive_pool_sum<T>, x, py::arg("output"), threads);
    m.def("sum", &sum<T>, x, threads);
    const auto csr_matmul_of = [&]<class I>(I) {
        m.def("csr_matmul", &csr_matmul<T, I>, py::arg("row_start").noconvert(), py::arg("column").noconvert(),
              py::arg("values"), x, threads);
    };
    csr_matmul_of(int32_t{});
    csr_matmul_of(int64_t{});
    m.def(encode_name.c_str(), &encode<T, float>, x, py::arg("fraction_bits"), threads);
    m.def(encode_name.c_str(), &encode<T, double>, x, py::arg("fraction_bits"), threads);
    m.def("decode", &decode<T, double>, x, py::arg("fraction_bits"), threads);
    m.def("add", &binary<T, ring::add<T>>, a, b, threads);
    m.def("subtract", &binary<T, ring::subtract<T>>, a, b, threads);
    m.def("multiply", &binary<T, ring::multiply<T>>, a, b, threads);
    m.def("multiply_add", &multiply_add<T>, a, b, py::arg("c").noconvert(), threads);
    m.def("scale", &scale<T>, a, py::arg("factor"), threads);
    m.def("negate", &negate<T>, a, threads);
    m.def("shift_left", &shift<T, ring::shift_left<T>>, a, py::arg("bits"), threads);
    m.def("shift_right_logical", &shift<T, ring::shift_right_logical<T>>, a, py::arg("bits"), threads);
    m.def("shift_right_arithmetic", &shift<T, ring::shift_right_arithmetic<T>>, a, py::arg("bits"), threads);
}

}  // namespace

void register_ring(py::module_& m) {
    py::module_ r = m.def_submodule("ring", "Kernels in Z_2^32 and Z_2^64; use moiety.ring instead.");
    register_for<uint32_t>(r, "encode32");
    register_for<uint64_t>(r, "encode64");
    r.def(
        "measure_multiplier_peak",
        [](int ring) {
            check(ring == 32 || ring == 64, "measure_multiplier_peak: expected ring 32 or 64, got ", ring);
            const py::gil_scoped_release release;
            return ring == 32 ? moiety::ring::measure_multiplier_peak<uint32_t>()
                              : moiety::ring::measure_multiplier_peak<uint64_t>();
        },
        py::arg("ring"),
        "Products a second that one thread reaches with no memory in the way, at the active ISA level.");
}
