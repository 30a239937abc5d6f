// The kernels behind smooth.cpp, one table an instruction set.
#pragma once

#include "hypergraph/hypergraph.hpp"

namespace moiety::hypergraph {

// A panel of features: x and y point at its first one. `message` holds one row of `width` a hyperedge, t_e, and with
// mediators b_e behind it.
template <class T>
struct SmoothTask {
    Csr<int32_t> members, holders;
    const Star<T>* star;
    const T* scale;
    T loop;
    bool mediators;
    const T* x;
    T* y;
    int64_t ld;  // from one row of x or y to the next one's
    int64_t width;
    T* message;

    int64_t rows_a_star() const { return mediators ? 2 : 1; }
    T* total(int64_t e) const { return message + e * rows_a_star() * width; }
};

// How much of t_e - w_e z_v the sum of all of e counts: where s = i the one end is both.
template <class T>
inline T total_weight(const Star<T>& s, bool mediators) {
    return mediators && s.loop() ? 2 * s.weight : s.weight;
}

template <class T>
struct SmoothKernels {
    void (*gather)(const SmoothTask<T>& task, int64_t begin, int64_t end);  // messages of hyperedges
    void (*spread)(const SmoothTask<T>& task, int64_t begin, int64_t end);  // rows of nodes
};

template <class T>
const SmoothKernels<T>& smooth_avx2();
template <class T>
const SmoothKernels<T>& smooth_avx512();

}  // namespace moiety::hypergraph
