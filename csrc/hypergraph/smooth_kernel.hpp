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
inline void scale_tile(const SmoothTask<T>& t, int64_t v, T* z, int64_t feature, int64_t tail) {
    Sum<T, Vectors, Partial> row(tail);
    row.add(t.x + v * t.ld + feature);
    row.store(t.scale[v], z + v * t.width + feature);
}

template <class T, int Vectors, bool Partial>
inline void gather_tile(const SmoothTask<T>& t, int64_t e, int64_t feature, int64_t tail) {
    using S = graph::Tile<T, Vectors, Partial>;
    const Star<T>& star = t.star[e];
    const T* x = t.source + feature;
    const int32_t* column = t.members.column;
    Sum<T, Vectors, Partial> pair(tail);
    pair.add(t.factor[star.end[0] * t.step], x + star.end[0] * t.lds);
    pair.add(t.factor[star.end[1] * t.step], x + star.end[1] * t.lds);
    if (!t.mediators) return pair.store(star.weight, t.of_ends(e) + feature);
    pair.store(star.weight, t.of_mediators(e) + feature);
    Sum<T, Vectors, Partial> total(tail);
    const int64_t end = t.members.row_start[e + 1], last = t.members.edges() - S::ahead;
    for (int64_t k = t.members.row_start[e]; k < end; ++k) {
        if (k < last) prefetch_row(x + column[k + S::ahead] * t.lds, S::bytes);
        total.add(t.factor[column[k] * t.step], x + column[k] * t.lds);
    }
    total.store(weight_of_ends(star, true), t.of_ends(e) + feature);
}

template <class T, int Vectors, bool Partial>
inline void spread_tile(const SmoothTask<T>& t, int64_t v, int64_t feature, int64_t tail) {
    using S = graph::Tile<T, Vectors, Partial>;
    const int64_t begin = t.holders.row_start[v], end = t.holders.row_start[v + 1];
    Sum<T, Vectors, Partial> sum(tail);
    const T scale = t.scale[v];
    sum.add(t.own[v] * scale, t.x + v * t.ld + feature);
    const int64_t last = t.holders.edges() - S::ahead;
    for (int64_t k = begin; k < end; ++k) {
        if (k < last) prefetch_row(t.of(k + S::ahead) + feature, S::bytes);
        sum.add(t.of(k) + feature);
    }
    sum.store(scale, t.y + v * t.ld + feature);
}

// tile(row, feature, tail) over all tiles of all rows; rows of one or four whole vectors without a decision a row.
template <class T, class F>
inline void for_tiles(int64_t width, int64_t begin, int64_t end, const F& tile) {
    constexpr int64_t lanes = Lanes<T>::lanes;
    if (width == lanes) {
        for (int64_t r = begin; r < end; ++r) tile.template operator()<1, false>(r, 0, lanes);
    } else if (width == 4 * lanes) {
        for (int64_t r = begin; r < end; ++r) tile.template operator()<4, false>(r, 0, lanes);
    } else {
        for (int64_t r = begin; r < end; ++r)
            graph::for_row_tiles<T, 4>(width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
                tile.template operator()<Vectors, Partial>(r, feature, tail);
            });
    }
}

template <class T>
void scale_rows(const SmoothTask<T>& t, T* z, int64_t begin, int64_t end) {
    for_tiles<T>(t.width, begin, end, [&]<int Vectors, bool Partial>(int64_t v, int64_t feature, int64_t tail) {
        scale_tile<T, Vectors, Partial>(t, v, z, feature, tail);
    });
}

template <class T>
void gather_rows(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for_tiles<T>(t.width, begin, end, [&]<int Vectors, bool Partial>(int64_t e, int64_t feature, int64_t tail) {
        gather_tile<T, Vectors, Partial>(t, e, feature, tail);
    });
}

template <class T>
void spread_rows(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for_tiles<T>(t.width, begin, end, [&]<int Vectors, bool Partial>(int64_t v, int64_t feature, int64_t tail) {
        spread_tile<T, Vectors, Partial>(t, v, feature, tail);
    });
}

template <class T>
constexpr SmoothKernels<T> smooth_kernels = {scale_rows<T>, gather_rows<T>, spread_rows<T>};

}  // namespace
}  // namespace moiety::hypergraph
