// The kernels of spmm over Lanes<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include <type_traits>

#include "graph/spmm_kernels.hpp"
#include "graph/tile.hpp"

namespace moiety::graph {
namespace {

// Floats without weights are multiplied by a one that never leaves the first cache; in rings that would be slow.
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
[[gnu::noinline]] void sum_tile(const SpmmTask<T, I>& t, int64_t first, int64_t behind, int64_t feature, int64_t tail) {
    using L = Lanes<T>;
    using S = Tile<T, Vectors, Partial>;
    Factors<T, I, Vectors, weighting> factor(t, feature);
    const T* x = t.x + feature;
    const I* column = t.a.column;
    const int64_t last = t.a.edges() - S::ahead;
    for (int64_t row = first; row < behind; ++row) {
        const int64_t begin = t.a.row_start[row], end = t.a.row_start[row + 1];
        typename L::Register sum[Vectors];
        for (int v = 0; v < Vectors; ++v) sum[v] = L::zero();
        for (int64_t e = begin; e < end; ++e) {
            if (e < last) {
                prefetch_row(x + column[e + S::ahead] * t.ldx, S::bytes);
                if constexpr (std::is_integral_v<T>) prefetch_row<3>(x + column[e + near_edges] * t.ldx, S::bytes);
            }
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
}

// The least is the negative of the greatest of the negatives, which rounds nothing and keeps the order of equals.
template <class T, class I, int Vectors, bool Partial, Weighting weighting>
[[gnu::noinline]] void extreme_tile(const SpmmTask<T, I>& t, int64_t first, int64_t behind, int64_t feature,
                                    int64_t tail) {
    using L = Lanes<T>;
    using S = Tile<T, Vectors, Partial>;
    Factors<T, I, Vectors, weighting> factor(t, feature);
    const T* x = t.x + feature;
    const I* column = t.a.column;
    const int64_t last = t.a.edges() - S::ahead;
    const auto sign = L::broadcast(t.least ? -1 : 1);
    for (int64_t row = first; row < behind; ++row) {
        const int64_t begin = t.a.row_start[row], end = t.a.row_start[row + 1];
        typename L::Register best[Vectors];
        typename L::Index where[Vectors];
        for (int v = 0; v < Vectors; ++v)
            best[v] = L::zero(), where[v] = L::index(end > begin ? static_cast<int32_t>(begin) : -1);
        for (int64_t e = begin; e < end; ++e) {
            if (e < last) prefetch_row(x + column[e + S::ahead] * t.ldx, S::bytes);
            const T* source = x + column[e] * t.ldx;
            const auto at = L::index(static_cast<int32_t>(e));
            factor.turn_to(e);
            factor.of_edge = L::multiply(factor.of_edge, sign);
            for (int v = 0; v < Vectors; ++v) {
                const auto value = L::multiply(S::load(source, v, tail), factor[v]);
                if (e == begin)
                    best[v] = value;
                else
                    L::take(best[v], where[v], value, at);
            }
        }
        if (t.least && end > begin)
            for (int v = 0; v < Vectors; ++v) best[v] = L::multiply(best[v], sign);
        T* y = t.y + row * t.ldy + feature;
        for (int v = 0; v < Vectors; ++v) S::store(y, v, best[v], tail);
        if (t.argument == nullptr) continue;
        int32_t* argument = t.argument + row * t.ldy + feature;
        for (int v = 0; v < Vectors; ++v) S::store(argument, v, where[v], tail);
    }
}

// What the kernels do not say twice: 64-bit numbers of nodes belong to graphs of more than 2^31 of them, which the
// memory's speed bounds, and take fewer kinds of tiles.
template <class I>
constexpr bool wide = sizeof(I) == 8;

// spmm.cpp cuts panels by head where weights of all heads do not fit a vector: one weight an edge then, `heads` apart.
template <class T, class I, class F>
inline void by_weighting(const SpmmTask<T, I>& task, const F& f) {
    SpmmTask<T, I> t = task;
    if constexpr (std::is_integral_v<T> && !wide<I>)
        if (t.weight == nullptr) return f(t, std::integral_constant<Weighting, Weighting::none>());
    if constexpr (!std::is_integral_v<T> && !wide<I>)
        if (t.spread) return f(t, std::integral_constant<Weighting, Weighting::heads>());
    static constexpr Weight<T> one{1};
    if (t.weight == nullptr) t.weight = &one, t.heads = 0;
    f(t, std::integral_constant<Weighting, Weighting::one>());
}

template <class T, class I>
void sum_rows(const SpmmTask<T, I>& task, int64_t begin, int64_t end) {
    by_weighting(task, [&](const SpmmTask<T, I>& t, auto weighting) {
        for_tiles<T, wide<I> ? 4 : 8>(
            t.width, begin, end,
            [&]<int Vectors, bool Partial>(int64_t first, int64_t behind, int64_t feature, int64_t tail) {
                sum_tile<T, I, Vectors, Partial, weighting()>(t, first, behind, feature, tail);
            });
    });
}

template <class T, class I>
void extreme_rows(const SpmmTask<T, I>& task, int64_t begin, int64_t end) {
    by_weighting(task, [&](const SpmmTask<T, I>& t, auto weighting) {
        for_tiles<T, 4>(t.width, begin, end,
                        [&]<int Vectors, bool Partial>(int64_t first, int64_t behind, int64_t feature, int64_t tail) {
                            extreme_tile<T, I, Vectors, Partial, weighting()>(t, first, behind, feature, tail);
                        });
    });
}

template <class T, class I>
constexpr SpmmKernels<T, I> spmm_table() {
    if constexpr (std::is_integral_v<T>)
        return {1, sum_rows<T, I>, nullptr};
    else
        return {wide<I> ? 1 : Lanes<T>::lanes, sum_rows<T, I>, extreme_rows<T, I>};
}

template <class T, class I>
constexpr SpmmKernels<T, I> spmm_kernels = spmm_table<T, I>();

}  // namespace
}  // namespace moiety::graph
