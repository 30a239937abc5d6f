// The loop of the multiplier's peak over Vector<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include "ring/peak_kernels.hpp"

namespace moiety::ring {
namespace {

// Twelve independent chains of squares: more than the multiplier's latency times its rate.
template <class T>
int64_t multiply_registers(int64_t rounds, T* sink) {
    using V = Vector<T>;
    constexpr int chains = 12;
    typename V::Register x[chains];
    for (int i = 0; i < chains; ++i) x[i] = V::broadcast(static_cast<T>(2 * i + 3));
    for (int64_t r = 0; r < rounds; ++r)
        for (int i = 0; i < chains; ++i) x[i] = V::multiply(x[i], x[i]);
    for (int i = 1; i < chains; ++i) x[0] = V::add(x[0], x[i]);
    V::store_partial(sink, x[0], 1);
    return chains * V::lanes;
}

}  // namespace
}  // namespace moiety::ring
