// Sums over pooling windows in Z_2^32 or Z_2^64: y[p, o] = sum of x[p, i] over the entries i of window o that lie
// inside the input. Padding adds zeros, so an average that counts padding divides by the window's volume, and one that
// does not divides by the entries inside; both are left to the caller, since division is no ring operation.
//
// Rows are summed over the leading dimensions first, along memory, and only then across the window's width.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace moiety::ring {

// As in ConvShape: up to three spatial dimensions, unused leading ones of extent 1. x is (planes, *in), planes = batch
// * channels; y is (planes, *out()). The output size rounds down.
struct PoolShape {
    int64_t planes = 1;
    std::array<int64_t, 3> in{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0};

    std::array<int64_t, 3> out() const;
    int64_t in_size() const;
    int64_t out_size() const;
    // Throws Error unless extents are positive, padding is at most half the kernel and the output is not empty.
    void validate() const;
    std::string describe() const;
};

template <class T>
void pool_sum(const T* x, T* y, const PoolShape& shape, int threads);

// Adaptive windows: entry o of `out` windows over `in` entries covers [begin, end) = [floor(o*in/out),
// ceil((o+1)*in/out)).
struct Window {
    int64_t begin, end;
};
Window adaptive_window(int64_t o, int64_t in, int64_t out);

template <class T>
void adaptive_pool_sum(const T* x, T* y, int64_t planes, const std::array<int64_t, 3>& in,
                       const std::array<int64_t, 3>& out, int threads);

}  // namespace moiety::ring
