// Arrays of one kind as spans, and vectors as arrays.
#pragma once

#include <pybind11/numpy.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace moiety::bindings {

namespace py = pybind11;

// Only arrays of exactly this type and layout; the Python wrapper converts, so that nothing is copied unseen.
template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
std::span<const T> in(const Array<T>& a) {
    return {a.data(), static_cast<size_t>(a.size())};
}

template <class T>
std::span<T> out(Array<T>& a) {
    return {a.mutable_data(), static_cast<size_t>(a.size())};
}

// The array takes the vector's memory.
template <class T>
Array<T> give(std::vector<T>&& values) {
    auto held = std::make_unique<std::vector<T>>(std::move(values));
    const auto size = static_cast<py::ssize_t>(held->size());
    T* data = held->data();
    const py::capsule owner(held.release(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
    return Array<T>({size}, data, owner);
}

}  // namespace moiety::bindings
