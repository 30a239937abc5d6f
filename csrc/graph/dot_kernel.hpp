// Inner products of one row with several others, over Lanes<T> of the file that includes this one after its
// vector_*.hpp.
#pragma once

#include "graph/tile.hpp"

namespace moiety::graph {
namespace {

// Numbers of nodes, of 32 or 64 bits: inner products take too long for the choice to count.
struct Columns {
    const int32_t* narrow;
    const int64_t* wide;

    explicit Columns(const int32_t* p) : narrow(p), wide(nullptr) {}
    explicit Columns(const int64_t* p) : narrow(nullptr), wide(p) {}
    int64_t operator[](int64_t k) const { return narrow != nullptr ? narrow[k] : wide[k]; }
};

// y_k is the row of column[k]; while one is read, the one of some edges later is fetched, among the `left` next ones.
template <class T>
struct Rows {
    const T* first;
    int64_t width;
    Columns column;
    int64_t left;

    int64_t bytes = width * static_cast<int64_t>(sizeof(T));
    int64_t ahead = std::max(prefetch_edges, prefetch_bytes / std::max<int64_t>(bytes, 1));

    const T* operator()(int64_t k) const {
        if (k + ahead < left) prefetch_row(first + column[k + ahead] * width, bytes);
        return first + column[k] * width;
    }
};

// result[k * stride] (+)= <x, y_k> over `Vectors` vectors from `feature` on, for k in [0, count). `accumulate` adds to
// what is there.
template <class T, int Vectors, bool Partial>
inline void dots_tile(const T* x, const Rows<T>& y, int64_t count, int64_t feature, int64_t tail, Weight<T>* result,
                      int64_t stride, bool accumulate) {
    using L = Lanes<T>;
    using S = Tile<T, Vectors, Partial>;
    typename L::Register own[Vectors];
    for (int v = 0; v < Vectors; ++v) own[v] = S::load(x, v, tail);
    const auto dot = [&](int64_t k) {
        const T* other = y(k) + feature;
        auto sum = L::multiply(own[0], S::load(other, 0, tail));
        for (int v = 1; v < Vectors; ++v) sum = L::multiply_add(own[v], S::load(other, v, tail), sum);
        return sum;
    };
    const auto put = [&](int64_t k, Weight<T> sum) {
        Weight<T>& target = result[k * stride];
        target = accumulate ? target + sum : sum;
    };
    int64_t k = 0;
    for (; k + 4 <= count; k += 4) {
        typename L::Register sum[4];
        for (int q = 0; q < 4; ++q) sum[q] = dot(k + q);
        Weight<T> four[4];
        L::sum4(sum[0], sum[1], sum[2], sum[3], four);
        for (int q = 0; q < 4; ++q) put(k + q, four[q]);
    }
    for (; k < count; ++k) put(k, L::sum(dot(k)));
}

// result[k * stride] = <x, y_k> over `width` features from `feature` on.
template <class T>
[[gnu::noinline]] void dots(const T* x, Rows<T> y, int64_t count, int64_t feature, int64_t width, Weight<T>* result,
                            int64_t stride) {
    for_row_tiles<T, 8>(width, [&]<int Vectors, bool Partial>(int64_t f, int64_t tail) {
        dots_tile<T, Vectors, Partial>(x + f, y, count, feature + f, tail, result, stride, f > 0);
        y.left = 0;  // all of a row is fetched at once
    });
}

}  // namespace
}  // namespace moiety::graph
