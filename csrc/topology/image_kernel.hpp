// The kernels behind image.cpp, over vectors of `bytes` bytes: one instantiation an instruction set. The compiler's own
// vectors, so that no intrinsics are included and the base architecture has them too.
#pragma once

#include <algorithm>
#include <cstring>

#include "topology/image_kernels.hpp"

namespace moiety::topology {
namespace {

template <class T, int bytes>
struct ImageKernel {
    typedef T Lanes __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
    static constexpr int64_t lanes = bytes / static_cast<int64_t>(sizeof(T));
    static constexpr int64_t padded(int64_t n) { return (n + lanes - 1) / lanes * lanes; }

    static const Lanes& at(const T* p) { return *reinterpret_cast<const Lanes*>(p); }
    static Lanes& at(T* p) { return *reinterpret_cast<Lanes*>(p); }

    // c (m, n) = a b, a (m, k) with any strides, b (k, n) and c in rows of `ld`, a multiple of the lanes; all of a row
    // is written. Rows by fours and vectors by twos: eight sums, of which none waits for the one before.
    template <int rows, int vectors>
    static void tile(int64_t k, const T* a, int64_t row, int64_t column, const T* b, T* c, int64_t ld) {
        Lanes sum[rows][vectors] = {};
        for (int64_t l = 0; l < k; ++l, a += column, b += ld)
            for (int i = 0; i < rows; ++i)
                for (int v = 0; v < vectors; ++v) sum[i][v] += a[i * row] * at(b + v * lanes);
        for (int i = 0; i < rows; ++i)
            for (int v = 0; v < vectors; ++v) at(c + i * ld + v * lanes) = sum[i][v];
    }

    template <int vectors>
    static void columns(int64_t m, int64_t k, const T* a, int64_t row, int64_t column, const T* b, T* c, int64_t ld) {
        int64_t i = 0;
        for (; i + 4 <= m; i += 4) tile<4, vectors>(k, a + i * row, row, column, b, c + i * ld, ld);
        for (; i < m; ++i) tile<1, vectors>(k, a + i * row, row, column, b, c + i * ld, ld);
    }

    static void multiply(int64_t m, int64_t k, const T* a, int64_t row, int64_t column, const T* b, T* c, int64_t ld) {
        int64_t j = 0;
        for (; j + 2 * lanes <= ld; j += 2 * lanes) columns<2>(m, k, a, row, column, b + j, c + j, ld);
        if (j < ld) columns<1>(m, k, a, row, column, b + j, c + j, ld);
    }

    // Term k of the left factor, and whether it is not zero.
    static bool term(const ImageTask<T>& t, int64_t k, T* left) {
        const int64_t side = t.side;
        if (t.count == nullptr) {
            std::memcpy(left, t.left + k * side, static_cast<size_t>(side) * sizeof(T));
            return std::any_of(left, left + side, [](T v) { return v != 0; });
        }
        bool any = false;
        for (int64_t j = 0; j < t.terms; ++j) {
            const int32_t count = t.count[k * t.terms + j];
            if (count == 0) continue;
            if (!any) std::fill(left, left + side, T(0));
            any = true;
            const T height = static_cast<T>(count) * t.weight[k * t.terms + j];
            for (int64_t i = 0; i < side; ++i) left[i] += height * t.up[j * side + i];
        }
        return any;
    }

    // The terms of an image whose left factor is not zero, those of `right` in padded rows: how many there are. Padding
    // repeats the last pixel, so that it is neither a least nor a largest one of its own.
    static int64_t pack(const ImageTask<T>& t, T* left, T* right) {
        const int64_t ld = padded(t.side);
        int64_t kept = 0;
        for (int64_t k = 0; k < t.terms; ++k) {
            if (!term(t, k, left + kept * t.side)) continue;
            T* r = right + kept * ld;
            std::memcpy(r, t.right + k * t.side, static_cast<size_t>(t.side) * sizeof(T));
            std::fill(r + t.side, r + ld, r[t.side - 1]);
            ++kept;
        }
        return kept;
    }

    static int64_t scratch(int64_t terms, int64_t side) {
        return side * padded(side) + 2 * side * padded(terms) + 2 * terms * padded(side);
    }

    static void forward(const ImageTask<T>& t, bool scaled, T* y, int64_t* places, T* scale, T* space) {
        const int64_t side = t.side, ld = padded(side);
        T* const image = space;
        T* const left = image + side * ld;
        T* const right = left + t.terms * side;
        const int64_t kept = pack(t, left, right);
        multiply(side, kept, left, 1, side, right, image, ld);
        T low = 0, factor = 1;
        if (scaled) {
            Lanes least = at(image), most = least;
            for (int64_t i = 0; i < side * ld; i += lanes) {
                const Lanes v = at(image + i);
                least = v < least ? v : least;
                most = v > most ? v : most;
            }
            low = least[0];
            T high = most[0];
            for (int64_t l = 1; l < lanes; ++l) low = std::min(low, least[l]), high = std::max(high, most[l]);
            factor = high > low ? 1 / (high - low) : 0;
            if (scale != nullptr) *scale = factor;
            if (places != nullptr) {
                places[0] = place(image, low, side);
                places[1] = place(image, high, side);
            }
        }
        for (int64_t i = 0; i < side; ++i)
            for (int64_t j = 0; j < side; ++j) y[i * side + j] = (image[i * ld + j] - low) * factor;
    }

    static int64_t place(const T* image, T value, int64_t side) {
        for (int64_t i = 0; i < side; ++i)
            for (int64_t j = 0; j < side; ++j)
                if (image[i * padded(side) + j] == value) return i * side + j;
        return 0;  // only an image that is not a number has no least pixel
    }

    static void backward(const ImageTask<T>& t, const T* y, const int64_t* places, const T* scale, const T* dy,
                         T* dleft, T* dright, T* space) {
        const int64_t side = t.side, ld = padded(side), narrow = padded(t.terms);
        T* const g = space;                       // the derivative by the image before it was scaled
        T* const across = g + side * ld;          // right^T (side, narrow), zero beyond the terms
        T* const along = across + side * narrow;  // dleft^T
        T* const found = along + side * narrow;   // dright in padded rows
        const T factor = scale == nullptr ? 1 : *scale;
        for (int64_t i = 0; i < side; ++i) {
            for (int64_t j = 0; j < side; ++j) g[i * ld + j] = factor * dy[i * side + j];
            std::fill(g + i * ld + side, g + (i + 1) * ld, T(0));
        }
        if (scale != nullptr) {  // y = (v - low) factor with factor = 1 / (high - low)
            Lanes all = {}, upper = {};
            T rest = 0, rest_upper = 0;
            int64_t i = 0;
            for (; i + lanes <= side * side; i += lanes) all += at(dy + i), upper += at(dy + i) * at(y + i);
            for (; i < side * side; ++i) rest += dy[i], rest_upper += dy[i] * y[i];
            for (int64_t l = 0; l < lanes; ++l) rest += all[l], rest_upper += upper[l];
            g[places[0] / side * ld + places[0] % side] += factor * (rest_upper - rest);
            g[places[1] / side * ld + places[1] % side] -= factor * rest_upper;
        }
        std::fill(across, across + side * narrow, T(0));
        for (int64_t k = 0; k < t.terms; ++k)
            for (int64_t j = 0; j < side; ++j) across[j * narrow + k] = t.right[k * side + j];
        multiply(side, side, g, ld, 1, across, along, narrow);
        multiply(t.terms, side, t.left, side, 1, g, found, ld);
        for (int64_t k = 0; k < t.terms; ++k)
            for (int64_t j = 0; j < side; ++j) {
                dleft[k * side + j] = along[j * narrow + k];
                dright[k * side + j] = found[k * ld + j];
            }
    }

    static constexpr ImageKernels<T> table = {scratch, forward, backward};
};

}  // namespace
}  // namespace moiety::topology
