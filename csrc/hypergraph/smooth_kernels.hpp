// The kernels behind smooth.cpp, one table an instruction set.
#pragma once

#include "hypergraph/hypergraph.hpp"

namespace moiety::hypergraph {

// A panel of features: x and y point at its first one. `message` holds two rows of `width` a hyperedge, b_e and t_e, in
// the order of `at_end`; without mediators t_e alone, and a row of zeros behind the last.
template <class T>
struct SmoothTask {
    Csr<int32_t> members, holders;
    const Star<T>* star;
    const uint8_t* at_end;
    const T* scale;
    const T* own;
    bool mediators;
    const T* x;
    T* y;
    int64_t ld;  // from one row of x or y to the next one's
    int64_t width;
    T* message;
    // Row v of z = D^-1/2 x is factor[v * step] times row v of `source`: x and D^-1/2 themselves, or z and a one.
    const T* source;
    int64_t lds;
    const T* factor;
    int64_t step;

    T* of_mediators(int64_t e) const { return message + 2 * e * width; }
    T* of_ends(int64_t e) const { return message + (mediators ? 2 * e + 1 : e) * width; }
    // What the incidence at position k of `holders` adds, without a branch.
    const T* of(int64_t k) const {
        const int64_t e = holders.column[k], none = members.rows;
        return message + (mediators ? 2 * e + at_end[k] : none + at_end[k] * (e - none)) * width;
    }
};

// How much t_e counts: where s = i the one end is both.
template <class T>
inline T weight_of_ends(const Star<T>& s, bool mediators) {
    return mediators && s.loop() ? 2 * s.weight : s.weight;
}

template <class T>
struct SmoothKernels {
    void (*scale)(const SmoothTask<T>& task, T* z, int64_t begin, int64_t end);  // rows of z, `width` each
    void (*gather)(const SmoothTask<T>& task, int64_t begin, int64_t end);       // messages of hyperedges
    void (*spread)(const SmoothTask<T>& task, int64_t begin, int64_t end);       // rows of nodes
};

template <class T>
const SmoothKernels<T>& smooth_avx2();
template <class T>
const SmoothKernels<T>& smooth_avx512();

}  // namespace moiety::hypergraph
