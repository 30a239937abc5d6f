// Register tiles: how the kernels cut features into vectors, over Lanes<T> of the file that includes this one after its
// vector_*.hpp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "graph/spmm.hpp"

namespace moiety::graph {
namespace {

// How far ahead of the edge at hand sources are fetched: bytes under way, and at least so many edges.
constexpr int64_t prefetch_bytes = 12288;
constexpr int64_t prefetch_edges = 8;
// And from there into the first one, for kernels with too many operations an edge to hide the way in between.
constexpr int64_t near_edges = 4;

// Into the second cache, which can wait for many more lines at a time than the first one, or with locality 3 the first.
template <int locality = 2>
inline void prefetch_row(const void* p, int64_t bytes) {
    for (int64_t offset = 0; offset < bytes; offset += 64)
        __builtin_prefetch(static_cast<const char*>(p) + offset, 0, locality);
}

// `Vectors` vectors of a row; the last one holds `tail` features when `Partial`, at most all of its lanes.
template <class T, int Vectors, bool Partial>
struct Tile {
    using L = Lanes<T>;
    static constexpr int64_t bytes = Vectors * L::lanes * static_cast<int64_t>(sizeof(T));
    static constexpr int64_t ahead = std::max(prefetch_edges, prefetch_bytes / bytes);

    static typename L::Register load(const T* p, int v, int64_t tail) {
        return Partial && v + 1 == Vectors ? L::load_partial(p + v * L::lanes, tail) : L::load(p + v * L::lanes);
    }
    template <class To, class Register>
    static void store(To* p, int v, Register value, int64_t tail) {
        if (Partial && v + 1 == Vectors && tail < L::lanes)
            L::store_partial(p + v * L::lanes, value, tail);
        else
            L::store(p + v * L::lanes, value);
    }
};

// tile.template operator()<Vectors, Partial>(feature, tail) over the tiles of one row: of the widest kind as long as
// that goes, then one or two more. The last one counts as partial even when it is whole, which costs a mask: every kind
// of tile is a copy of the kernel.
template <class T, int Widest, class F>
inline void for_row_tiles(int64_t width, const F& tile) {
    constexpr int64_t lanes = Lanes<T>::lanes;
    int64_t f = 0;
    for (; f + Widest * lanes <= width; f += Widest * lanes) tile.template operator()<Widest, false>(f, lanes);
    if constexpr (Widest == 8)
        if (f + 4 * lanes <= width) tile.template operator()<4, false>(f, lanes), f += 4 * lanes;
    if (f == width) return;
    const int64_t vectors = (width - f + lanes - 1) / lanes, tail = width - f - (vectors - 1) * lanes;
    if (vectors == 1) tile.template operator()<1, true>(f, tail);
    if (vectors == 2) tile.template operator()<2, true>(f, tail);
    if (vectors == 3) tile.template operator()<3, true>(f, tail);
    if (vectors == 4) tile.template operator()<4, true>(f, tail);
}

// tile.template operator()<Vectors, Partial>(first, last, feature, tail) over the tiles of rows [begin, end): all rows
// at once where they are one tile, else row by row, so that what is read of a source is read together.
template <class T, int Widest, class F>
inline void for_tiles(int64_t width, int64_t begin, int64_t end, const F& tile) {
    constexpr int64_t lanes = Lanes<T>::lanes;
    const int64_t step = width <= 4 * lanes || width == Widest * lanes ? std::max<int64_t>(1, end - begin) : 1;
    for (int64_t i = begin; i < end; i += step)
        for_row_tiles<T, Widest>(width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
            tile.template operator()<Vectors, Partial>(i, i + step, feature, tail);
        });
}

}  // namespace
}  // namespace moiety::graph
