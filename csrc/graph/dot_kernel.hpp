// Inner products of one row with several others, over Lanes<T> of the file that includes this one after its
// vector_*.hpp.
#pragma once

#include "graph/tile.hpp"

namespace moiety::graph {
namespace {

// result[k * stride] (+)= <x, y_k> over `Vectors` vectors, for k in [0, count); y(k) is where y_k lies. `accumulate`
// adds to what is there.
template <class T, int Vectors, bool Partial, class Rows>
inline void dots_tile(const T* x, const Rows& y, int64_t count, int64_t tail, Weight<T>* result, int64_t stride,
                      bool accumulate) {
    using L = Lanes<T>;
    using S = Tile<T, Vectors, Partial>;
    typename L::Register own[Vectors];
    for (int v = 0; v < Vectors; ++v) own[v] = S::load(x, v, tail);
    int64_t k = 0;
    for (; k + 4 <= count; k += 4) {
        typename L::Register sum[4];
        for (int q = 0; q < 4; ++q) {
            const T* other = y(k + q);
            sum[q] = L::multiply(own[0], S::load(other, 0, tail));
            for (int v = 1; v < Vectors; ++v) sum[q] = L::multiply_add(own[v], S::load(other, v, tail), sum[q]);
        }
        Weight<T> four[4];
        L::sum4(sum[0], sum[1], sum[2], sum[3], four);
        for (int q = 0; q < 4; ++q) {
            Weight<T>& target = result[(k + q) * stride];
            target = accumulate ? target + four[q] : four[q];
        }
    }
    for (; k < count; ++k) {
        const T* other = y(k);
        auto sum = L::multiply(own[0], S::load(other, 0, tail));
        for (int v = 1; v < Vectors; ++v) sum = L::multiply_add(own[v], S::load(other, v, tail), sum);
        Weight<T>& target = result[k * stride];
        target = accumulate ? target + L::sum(sum) : L::sum(sum);
    }
}

// The same over any width.
template <class T, class Rows>
inline void dots(const T* x, const Rows& y, int64_t count, int64_t width, Weight<T>* result, int64_t stride) {
    for_row_tiles<T, 8>(width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
        const auto from = [&](int64_t k) { return y(k) + feature; };
        dots_tile<T, Vectors, Partial>(x + feature, from, count, tail, result, stride, feature > 0);
    });
}

}  // namespace
}  // namespace moiety::graph
