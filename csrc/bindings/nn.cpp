#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "core/check.hpp"
#include "nn/quadratic.hpp"
#include "register.hpp"

namespace py = pybind11;
namespace nn = moiety::nn;
using moiety::check;

namespace {

// Memory of tensors comes as addresses: building an array object for each of them would take longer than the work on a
// small tensor. moiety.ops, the only caller, has checked type, layout and size, and keeps the tensors alive.
template <class T>
T* pointer(uintptr_t address, const char* what) {
    check(address != 0 && address % alignof(T) == 0, what, ": expected the address of a tensor, got ", address);
    return reinterpret_cast<T*>(address);
}

// Address and size of w1, w2, b and r; a size of 0 is no hinge.
using Vectors = std::array<std::pair<uintptr_t, int64_t>, 4>;

template <class T>
std::span<T> vector(const std::pair<uintptr_t, int64_t>& v, const char* what) {
    check(v.second >= 0, what, ": expected a size >= 0, got ", v.second);
    if (v.second == 0) return {};
    return {pointer<T>(v.first, what), static_cast<size_t>(v.second)};
}

Vectors read_vectors(const py::tuple& addresses, const py::tuple& sizes) {
    check(addresses.size() == 4 && sizes.size() == 4, "quadratic: expected w1, w2, b and r, got ", addresses.size(),
          " addresses and ", sizes.size(), " sizes");
    Vectors v;
    for (size_t i = 0; i < 4; ++i) v[i] = {addresses[i].cast<uintptr_t>(), sizes[i].cast<int64_t>()};
    return v;
}

nn::Coefficients coefficients(const Vectors& v) {
    return {vector<const float>(v[0], "w1"), vector<const float>(v[1], "w2"), vector<const float>(v[2], "b"),
            vector<const float>(v[3], "r")};
}

// outer, channels, inner, channels_last
using Shape = std::tuple<int64_t, int64_t, int64_t, bool>;

template <class T>
void forward(const Shape& shape, uintptr_t x, const py::tuple& addresses, const py::tuple& sizes, uintptr_t y,
             int threads) {
    const auto [outer, channels, inner, last] = shape;
    const nn::ChannelShape s{outer, channels, inner, last};
    const Vectors c = read_vectors(addresses, sizes);
    const py::gil_scoped_release release;
    if (s.size() == 0) return;
    nn::quadratic_forward<T>(s, pointer<const T>(x, "x"), coefficients(c), pointer<T>(y, "y"), threads);
}

template <class T>
void backward(const Shape& shape, uintptr_t x, uintptr_t dy, const py::tuple& addresses, const py::tuple& sizes,
              uintptr_t dx, const py::tuple& gradients, int threads) {
    const auto [outer, channels, inner, last] = shape;
    const nn::ChannelShape s{outer, channels, inner, last};
    const Vectors c = read_vectors(addresses, sizes), g = read_vectors(gradients, sizes);
    const nn::CoefficientGradients targets{vector<float>(g[0], "dw1"), vector<float>(g[1], "dw2"),
                                           vector<float>(g[2], "db"), vector<float>(g[3], "dr")};
    const py::gil_scoped_release release;
    const bool empty = s.size() == 0;
    nn::quadratic_backward<T>(s, empty ? nullptr : pointer<const T>(x, "x"),
                              empty ? nullptr : pointer<const T>(dy, "dy"), coefficients(c),
                              empty ? nullptr : pointer<T>(dx, "dx"), targets, threads);
}

template <class T>
void register_for(py::module_& m, const std::string& suffix) {
    m.def(("quadratic_forward_" + suffix).c_str(), &forward<T>, py::arg("shape"), py::arg("x"), py::arg("addresses"),
          py::arg("sizes"), py::arg("y"), py::arg("threads"));
    m.def(("quadratic_backward_" + suffix).c_str(), &backward<T>, py::arg("shape"), py::arg("x"), py::arg("dy"),
          py::arg("addresses"), py::arg("sizes"), py::arg("dx"), py::arg("gradients"), py::arg("threads"));
}

}  // namespace

void register_nn(py::module_& m) {
    py::module_ r = m.def_submodule("nn", "Floating-point kernels of layers, on addresses; use moiety.ops instead.");
    register_for<float>(r, "f32");
    register_for<nn::Bf16>(r, "bf16");
}
