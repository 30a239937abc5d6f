// The elementwise kernels over Vector<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include "ring/elementwise_kernels.hpp"

namespace moiety::ring {
namespace {

// Applies `operation` to vectors of `inputs`, the last one partial.
template <class T, class Operation, class... Inputs>
inline void map(Operation operation, T* out, int64_t n, const Inputs*... inputs) {
    using V = Vector<T>;
    int64_t i = 0;
    for (; i + 2 * V::lanes <= n; i += 2 * V::lanes) {
        const auto first = operation(V::load(inputs + i)...);
        const auto second = operation(V::load(inputs + i + V::lanes)...);
        V::store(out + i, first);
        V::store(out + i + V::lanes, second);
    }
    for (; i < n; i += V::lanes) {
        const int64_t count = n - i < V::lanes ? n - i : V::lanes;
        V::store_partial(out + i, operation(V::load_partial(inputs + i, count)...), count);
    }
}

template <class T>
void binary_kernel(Binary op, const T* a, const T* b, T* out, int64_t n) {
    using V = Vector<T>;
    using R = typename V::Register;
    switch (op) {
        case Binary::add: return map<T>([](R x, R y) { return V::add(x, y); }, out, n, a, b);
        case Binary::subtract: return map<T>([](R x, R y) { return V::subtract(x, y); }, out, n, a, b);
        case Binary::multiply: return map<T>([](R x, R y) { return V::multiply(x, y); }, out, n, a, b);
    }
}

template <class T>
void multiply_add_kernel(const T* a, const T* b, const T* c, T* out, int64_t n) {
    using V = Vector<T>;
    using R = typename V::Register;
    map<T>([](R x, R y, R z) { return V::add(V::multiply(x, y), z); }, out, n, a, b, c);
}

template <class T>
void unary_kernel(Unary op, const T* a, T operand, T* out, int64_t n) {
    using V = Vector<T>;
    using R = typename V::Register;
    const R factor = V::broadcast(operand);
    const __m128i bits = _mm_cvtsi64_si128(static_cast<long long>(operand));
    switch (op) {
        case Unary::scale: return map<T>([=](R x) { return V::multiply(x, factor); }, out, n, a);
        case Unary::negate: return map<T>([](R x) { return V::subtract(V::zero(), x); }, out, n, a);
        case Unary::shift_left: return map<T>([=](R x) { return V::shift_left(x, bits); }, out, n, a);
        case Unary::shift_right_logical: return map<T>([=](R x) { return V::shift_right_logical(x, bits); }, out, n, a);
        case Unary::shift_right_arithmetic:
            return map<T>([=](R x) { return V::shift_right_arithmetic(x, bits); }, out, n, a);
    }
}

template <class T>
constexpr ElementwiseKernels<T> elementwise_table{binary_kernel<T>, multiply_add_kernel<T>, unary_kernel<T>};

}  // namespace
}  // namespace moiety::ring
