// The kernels of smooth over Lanes<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include "graph/tile.hpp"
#include "hypergraph/smooth_kernels.hpp"

namespace moiety::hypergraph {
namespace {

using graph::Lanes;
using graph::prefetch_row;

// The vectors of a tile that one row adds to another.
template <class T, int Vectors, bool Partial>
struct Sum {
    using L = Lanes<T>;
    using S = graph::Tile<T, Vectors, Partial>;
    typename L::Register sum[Vectors];
    int64_t tail;

    explicit Sum(int64_t tail_features) : tail(tail_features) {
        for (int v = 0; v < Vectors; ++v) sum[v] = L::zero();
    }
    void add(const T* row) {
        for (int v = 0; v < Vectors; ++v) sum[v] = L::add(sum[v], S::load(row, v, tail));
    }
    void add(T factor, const T* row) {
        const auto f = L::broadcast(factor);
        for (int v = 0; v < Vectors; ++v) sum[v] = L::multiply_add(S::load(row, v, tail), f, sum[v]);
    }
    void store(T factor, T* row) const {
        const auto f = L::broadcast(factor);
        for (int v = 0; v < Vectors; ++v) S::store(row, v, L::multiply(sum[v], f), tail);
    }
};

template <class T, int Vectors, bool Partial>
inline void gather_tile(const SmoothTask<T>& t, int64_t e, int64_t feature, int64_t tail) {
    using S = graph::Tile<T, Vectors, Partial>;
    const Star<T>& star = t.star[e];
    const T* x = t.x + feature;
    T* message = t.total(e) + feature;
    const int32_t* column = t.members.column;
    const int64_t begin = t.members.row_start[e], end = t.members.row_start[e + 1];
    Sum<T, Vectors, Partial> pair(tail);
    pair.add(t.scale[star.first], x + star.first * t.ld);
    pair.add(t.scale[star.second], x + star.second * t.ld);
    if (!t.mediators) return pair.store(star.weight, message);
    pair.store(star.weight, message + t.width);
    Sum<T, Vectors, Partial> total(tail);
    const int64_t last = t.members.edges() - S::ahead;
    for (int64_t k = begin; k < end; ++k) {
        if (k < last) prefetch_row(x + column[k + S::ahead] * t.ld, S::bytes);
        total.add(t.scale[column[k]], x + column[k] * t.ld);
    }
    total.store(total_weight(star, true), message);
}

template <class T, int Vectors, bool Partial>
inline void spread_tile(const SmoothTask<T>& t, int64_t v, int64_t feature, int64_t tail) {
    using S = graph::Tile<T, Vectors, Partial>;
    const int32_t* hyperedge = t.holders.column;
    const int64_t begin = t.holders.row_start[v], end = t.holders.row_start[v + 1];
    const int64_t last = t.holders.edges() - S::ahead, rows = t.rows_a_star();
    Sum<T, Vectors, Partial> sum(tail);
    T own = t.loop;
    for (int64_t k = begin; k < end; ++k) {
        if (k < last) prefetch_row(t.total(hyperedge[k + S::ahead]) + feature, S::bytes * rows);
        const int64_t e = hyperedge[k];
        const Star<T>& star = t.star[e];
        const bool at_end = star.ends_at(v);
        if (!at_end && !t.mediators) continue;
        sum.add(t.total(e) + feature + (at_end ? 0 : t.width));
        own -= at_end && !star.loop() ? star.weight : T{0};
    }
    const T scale = t.scale[v];
    sum.add(own * scale, t.x + v * t.ld + feature);
    sum.store(scale, t.y + v * t.ld + feature);
}

template <class T>
void gather_rows(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e)
        graph::for_row_tiles<T, 4>(t.width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
            gather_tile<T, Vectors, Partial>(t, e, feature, tail);
        });
}

template <class T>
void spread_rows(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
        graph::for_row_tiles<T, 4>(t.width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
            spread_tile<T, Vectors, Partial>(t, v, feature, tail);
        });
}

template <class T>
constexpr SmoothKernels<T> smooth_kernels = {gather_rows<T>, spread_rows<T>};

}  // namespace
}  // namespace moiety::hypergraph
