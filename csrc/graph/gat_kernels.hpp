// The kernels behind gat.cpp, one table an instruction set: rows [begin, end).
#pragma once

#include "graph/gat.hpp"

namespace moiety::graph {

template <class T, class I>
struct GatForward {
    Csr<I> a;
    GatShape shape;
    const T* x;
    const Weight<T>* source;
    const Weight<T>* target;
    T* y;
    GatSaved<T> saved;
    int64_t longest;  // edges of a row at most
};

// What a source must know of a target, side by side: score_target, L and delta, `heads` each.
constexpr int64_t gat_node_terms = 3;

template <class T>
struct GatTargets {
    GatShape shape;
    const Weight<T>* target;
    const T* y;
    const T* dy;
    GatSaved<T> saved;
    Weight<T>* node;  // rows x gat_node_terms x heads
    Weight<T>* dtarget;
};

template <class T, class I>
struct GatSources {
    Csr<I> by_source;
    GatShape shape;
    const T* x;
    const Weight<T>* source;
    const Weight<T>* node;
    const T* dy;
    T* dx;
    Weight<T>* dsource;
};

template <class T, class I>
struct GatKernels {
    int64_t most_heads;  // that the kernels take
    void (*forward)(const GatForward<T, I>& task, int64_t begin, int64_t end);
    void (*targets)(const GatTargets<T>& task, int64_t begin, int64_t end);
    void (*sources)(const GatSources<T, I>& task, int64_t begin, int64_t end);
};

template <class T, class I>
const GatKernels<T, I>& gat_avx2();
template <class T, class I>
const GatKernels<T, I>& gat_avx512();

}  // namespace moiety::graph
