#include "ring/conv.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "ring/conv_vector.hpp"

namespace moiety::ring {
namespace {

using Extents = std::array<int64_t, 3>;

int64_t volume(const Extents& e) { return e[0] * e[1] * e[2]; }

// Calls visit(position, index) for every position of a grid in row-major order.
template <class Visit>
void each(const Extents& grid, const Visit& visit) {
    int64_t index = 0;
    for (int64_t z = 0; z < grid[0]; ++z)
        for (int64_t y = 0; y < grid[1]; ++y)
            for (int64_t x = 0; x < grid[2]; ++x) visit(Extents{z, y, x}, index++);
}

// The reference: one output plane by definition. Both directions pair a `coarse` position q (of the output of an
// ordinary convolution, of the input of a transposed one) with the `fine` position q*stride + tap*dilation - padding.
template <class T>
void conv_plane(const T* x, const T* w, T* y, const ConvShape& s, int64_t image, int64_t oc, bool accumulate) {
    const Extents out = s.out();
    const Extents& coarse = s.transposed ? s.in : out;
    const Extents& fine = s.transposed ? out : s.in;
    const int64_t ins = s.in_channels / s.groups, outs = s.out_channels / s.groups, group = oc / outs;
    T* plane = y + (image * s.out_channels + oc) * volume(out);
    if (!accumulate) std::fill(plane, plane + volume(out), T{0});
    for (int64_t i = 0; i < ins; ++i) {
        const int64_t ic = group * ins + i;
        const T* source = x + (image * s.in_channels + ic) * volume(s.in);
        const T* taps = w + (s.transposed ? ic * outs + oc % outs : oc * ins + i) * volume(s.kernel);
        each(s.kernel, [&](const Extents& tap, int64_t t) {
            each(coarse, [&](const Extents& q, int64_t at_coarse) {
                Extents p{};
                for (size_t d = 0; d < 3; ++d) {
                    p[d] = q[d] * s.stride[d] + tap[d] * s.dilation[d] - s.padding[d];
                    if (p[d] < 0 || p[d] >= fine[d]) return;
                }
                const int64_t at_fine = (p[0] * fine[1] + p[1]) * fine[2] + p[2];
                if (s.transposed)
                    plane[at_fine] += taps[t] * source[at_coarse];
                else
                    plane[at_coarse] += taps[t] * source[at_fine];
            });
        });
    }
}

}  // namespace

template <class T>
void conv(const T* x, const T* w, T* y, const ConvShape& shape, bool accumulate, int threads) {
    shape.validate();
    if (const GemmKernels<T>* kernels = gemm_kernels<T>())
        return conv_vector(x, w, y, shape, *kernels, accumulate, threads);
    parallel_for(shape.batch * shape.out_channels, 1, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            conv_plane(x, w, y, shape, i / shape.out_channels, i % shape.out_channels, accumulate);
    });
}

template void conv(const uint32_t*, const uint32_t*, uint32_t*, const ConvShape&, bool, int);
template void conv(const uint64_t*, const uint64_t*, uint64_t*, const ConvShape&, bool, int);

}  // namespace moiety::ring
