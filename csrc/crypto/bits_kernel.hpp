// Planes over a vector trait K, written once for the files that carry an instruction set in their name.
//
// Work goes in tiles of 512 elements: K turns 64 elements at a time into 64 words of a tile, or back, and the
// tile meets the planes eight words, one cache line, at a time. Planes of a power-of-two size lie in the same
// few cache sets, so that touching every plane for each single word would evict a line before it is full.
//
//   K::split(x, first, tile, w)   tile[K::place(w, j)] = word w of plane j, from the 64 elements at x shifted
//   down by first K::join(tile, w, x)           x[0..63] from tile[K::source(w, j)], j in [0, 64)
#pragma once

#include <cstdint>

#include "crypto/bits_kernels.hpp"

namespace moiety::crypto {
namespace {

constexpr int64_t tile_words = 8;

template <class K, class T>
void to_planes(const T* x, int64_t n, int first, int count, uint64_t* planes, int64_t stride) {
    alignas(64) uint64_t tile[64 * tile_words];
    for (int64_t begin = 0; begin < n; begin += 64 * tile_words) {
        const int64_t left = n - begin;
        const int64_t words = left >= 64 * tile_words ? tile_words : (left + 63) / 64;
        for (int64_t w = 0; w < words; ++w) {
            const T* from = x + begin + 64 * w;
            const int64_t live = left - 64 * w;
            T padded[64] = {};
            if (live < 64) {
                for (int64_t i = 0; i < live; ++i) padded[i] = from[i];
                from = padded;
            }
            K::split(from, first, tile, static_cast<int>(w));
        }
        for (int j = 0; j < count; ++j) {
            uint64_t* to = planes + j * stride + begin / 64;
            for (int64_t w = 0; w < words; ++w) to[w] = tile[K::place(static_cast<int>(w), j)];
        }
    }
}

template <class K, class T>
void from_planes(const uint64_t* planes, int64_t stride, int64_t n, int count, T* x) {
    alignas(64) uint64_t tile[64 * tile_words] = {};
    for (int64_t begin = 0; begin < n; begin += 64 * tile_words) {
        const int64_t left = n - begin;
        const int64_t words = left >= 64 * tile_words ? tile_words : (left + 63) / 64;
        for (int j = 0; j < count; ++j) {
            const uint64_t* from = planes + j * stride + begin / 64;
            for (int64_t w = 0; w < words; ++w) tile[K::source(static_cast<int>(w), j)] = from[w];
        }
        for (int64_t w = 0; w < words; ++w) {
            T* to = x + begin + 64 * w;
            const int64_t live = left - 64 * w;
            if (live >= 64) {
                K::join(tile, static_cast<int>(w), to);
            } else {
                T padded[64];
                K::join(tile, static_cast<int>(w), padded);
                for (int64_t i = 0; i < live; ++i) to[i] = padded[i];
            }
        }
    }
}

}  // namespace
}  // namespace moiety::crypto
