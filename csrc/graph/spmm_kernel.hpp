// The kernels of spmm over Lanes<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include <type_traits>

#include "graph/spmm_kernels.hpp"
#include "graph/tile.hpp"

namespace moiety::graph {
namespace {

enum class Weighting { none, one, heads };

// The factors of an edge for the vectors of a tile: one for all, or the weights of all heads spread over the features.
template <class T, class I, int Vectors, Weighting weighting>
struct Factors {
    using L = Lanes<T>;
    const Weight<T>* weight;
    int64_t heads;
    typename L::Register of_edge;
    typename L::Map map[weighting == Weighting::heads ? Vectors : 1];

    Factors(const SpmmTask<T, I>& t, int64_t feature) : weight(t.weight), heads(t.heads) {
        if constexpr (weighting == Weighting::heads)
            for (int v = 0; v < Vectors; ++v) {
                int32_t head[L::lanes];
                for (int64_t lane = 0; lane < L::lanes; ++lane)
                    head[lane] = static_cast<int32_t>(t.head(feature + v * L::lanes + lane));
                map[v] = L::map(head);
            }
    }
    void turn_to(int64_t e) {
        if constexpr (weighting == Weighting::one) of_edge = L::broadcast(weight[e * heads]);
        if constexpr (weighting == Weighting::heads) of_edge = L::load_weights(weight + e * heads, heads);
    }
    typename L::Register operator[](int v) const {
        if constexpr (weighting == Weighting::heads) return L::spread(of_edge, map[v]);
        return of_edge;
    }
};

template <class T, class I, int Vectors, bool Partial, Weighting weighting>
inline void sum_tile(const SpmmTask<T, I>& t, int64_t row, int64_t feature, int64_t tail) {
    using L = Lanes<T>;
    using S = Tile<T, Vectors, Partial>;
    Factors<T, I, Vectors, weighting> factor(t, feature);
    const T* x = t.x + feature;
    const I* column = t.a.column;
    const int64_t begin = t.a.row_start[row], end = t.a.row_start[row + 1], last = t.a.edges() - S::ahead;
    typename L::Register sum[Vectors];
    for (int v = 0; v < Vectors; ++v) sum[v] = L::zero();
    for (int64_t e = begin; e < end; ++e) {
        if (e < last) prefetch_row(x + column[e + S::ahead] * t.ldx, S::bytes);
        const T* source = x + column[e] * t.ldx;
        if constexpr (weighting == Weighting::none) {
            for (int v = 0; v < Vectors; ++v) sum[v] = L::add(sum[v], S::load(source, v, tail));
        } else {
            factor.turn_to(e);
            for (int v = 0; v < Vectors; ++v) sum[v] = L::multiply_add(S::load(source, v, tail), factor[v], sum[v]);
        }
    }
    if constexpr (!std::is_integral_v<T>)
        if (t.mean && end > begin) {
            const auto scale = L::broadcast(1 / static_cast<Weight<T>>(end - begin));
            for (int v = 0; v < Vectors; ++v) sum[v] = L::multiply(sum[v], scale);
        }
    T* y = t.y + row * t.ldy + feature;
    for (int v = 0; v < Vectors; ++v) S::store(y, v, sum[v], tail);
}

template <class T, class I, int Vectors, bool Partial, Weighting weighting, bool least>
inline void extreme_tile(const SpmmTask<T, I>& t, int64_t row, int64_t feature, int64_t tail) {
    using L = Lanes<T>;
    using S = Tile<T, Vectors, Partial>;
    Factors<T, I, Vectors, weighting> factor(t, feature);
    const T* x = t.x + feature;
    const I* column = t.a.column;
    const int64_t begin = t.a.row_start[row], end = t.a.row_start[row + 1], last = t.a.edges() - S::ahead;
    typename L::Register best[Vectors];
    typename L::Index where[Vectors];
    for (int v = 0; v < Vectors; ++v)
        best[v] = L::zero(), where[v] = L::index(end > begin ? static_cast<int32_t>(begin) : -1);
    for (int64_t e = begin; e < end; ++e) {
        if (e < last) prefetch_row(x + column[e + S::ahead] * t.ldx, S::bytes);
        const T* source = x + column[e] * t.ldx;
        const auto at = L::index(static_cast<int32_t>(e));
        factor.turn_to(e);
        for (int v = 0; v < Vectors; ++v) {
            auto value = S::load(source, v, tail);
            if constexpr (weighting != Weighting::none) value = L::multiply(value, factor[v]);
            if (e == begin)
                best[v] = value;
            else
                L::template take<least>(best[v], where[v], value, at);
        }
    }
    T* y = t.y + row * t.ldy + feature;
    for (int v = 0; v < Vectors; ++v) S::store(y, v, best[v], tail);
    if (t.argument == nullptr) return;
    int32_t* argument = t.argument + row * t.ldy + feature;
    for (int v = 0; v < Vectors; ++v) S::store(argument, v, where[v], tail);
}

// The tiles of all rows; the usual widths without a decision a row.
template <class T, int Widest, class F>
inline void for_tiles(int64_t width, int64_t begin, int64_t end, const F& tile) {
    constexpr int64_t lanes = Lanes<T>::lanes;
    const auto all = [&]<int Vectors>(std::integral_constant<int, Vectors>) {
        for (int64_t i = begin; i < end; ++i) tile.template operator()<Vectors, false>(i, 0, lanes);
    };
    if (width == Widest * lanes) return all(std::integral_constant<int, Widest>());
    if (width == 4 * lanes) return all(std::integral_constant<int, 4>());
    if (width == lanes) return all(std::integral_constant<int, 1>());
    for (int64_t i = begin; i < end; ++i)
        for_row_tiles<T, Widest>(width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
            tile.template operator()<Vectors, Partial>(i, feature, tail);
        });
}

// spmm.cpp cuts panels by head where weights of all heads do not fit a vector: one weight an edge then, `heads` apart.
template <class T, class I, class F>
inline void by_weighting(const SpmmTask<T, I>& t, const F& f) {
    if (t.weight == nullptr) return f(std::integral_constant<Weighting, Weighting::none>());
    if constexpr (Lanes<T>::spreads)
        if (t.spread) return f(std::integral_constant<Weighting, Weighting::heads>());
    f(std::integral_constant<Weighting, Weighting::one>());
}

template <class T, class I>
void sum_rows(const SpmmTask<T, I>& t, int64_t begin, int64_t end) {
    by_weighting(t, [&](auto weighting) {
        for_tiles<T, 8>(t.width, begin, end,
                        [&]<int Vectors, bool Partial>(int64_t row, int64_t feature, int64_t tail) {
                            sum_tile<T, I, Vectors, Partial, weighting()>(t, row, feature, tail);
                        });
    });
}

template <class T, class I>
void extreme_rows(const SpmmTask<T, I>& t, int64_t begin, int64_t end) {
    by_weighting(t, [&](auto weighting) {
        const auto run = [&](auto least) {
            for_tiles<T, 4>(t.width, begin, end,
                            [&]<int Vectors, bool Partial>(int64_t row, int64_t feature, int64_t tail) {
                                extreme_tile<T, I, Vectors, Partial, weighting(), least()>(t, row, feature, tail);
                            });
        };
        t.least ? run(std::true_type()) : run(std::false_type());
    });
}

template <class T, class I>
constexpr SpmmKernels<T, I> spmm_table() {
    if constexpr (std::is_integral_v<T>)
        return {1, sum_rows<T, I>, nullptr};
    else
        return {Lanes<T>::spreads ? Lanes<T>::lanes : 1, sum_rows<T, I>, extreme_rows<T, I>};
}

template <class T, class I>
constexpr SpmmKernels<T, I> spmm_kernels = spmm_table<T, I>();

}  // namespace
}  // namespace moiety::graph
