#include "ring/conv_vector.hpp"

#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "core/parallel.hpp"
#include "ring/blocked.hpp"
#include "ring/lattice.hpp"

namespace moiety::ring {
namespace {

using Extents = std::array<int64_t, 3>;

int64_t volume(const Extents& e) { return e[0] * e[1] * e[2]; }

// x, or its padded form for images [first, first + images): planes in the order of x, `plane.size()` elements each.
template <class T>
const T* padded(const T* x, const ConvShape& s, const PaddedPlane& plane, int64_t first, int64_t images,
                Buffer<T>& buffer, int threads) {
    const int64_t in_plane = volume(s.in), planes = images * s.in_channels;
    x += first * s.in_channels * in_plane;
    if (is_plain(plane, s)) return x;
    if (buffer.size() < planes * plane.size()) buffer = Buffer<T>(planes * plane.size());
    parallel_for(planes, 1 + 65536 / plane.size(), threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) pad_plane(x + i * in_plane, s, plane, buffer.data() + i * plane.size());
    });
    return buffer.data();
}

// The rows of the lattice in `images` images as segments, neighbours in both input and output merged.
std::vector<Segment> segments(const ConvShape& s, const Lattice& l, const PaddedPlane& plane, int64_t images) {
    const Extents out = s.out();
    std::vector<Segment> result;
    int64_t column = 0;
    for (int64_t image = 0; image < images; ++image)
        for (int64_t z = 0; z < l.grid[0]; ++z)
            for (int64_t y = 0; y < l.grid[1]; ++y, column += l.grid[2]) {
                // Relative to what a tap of offset 0 reads, whose border the taps' own offsets account for.
                const int64_t b = image * s.in_channels * plane.size() +
                                  (z * l.in_step[0] * plane.height + y * l.in_step[1]) * plane.row;
                const int64_t c =
                    image * s.out_channels * volume(out) +
                    ((l.origin[0] + z * l.out_step[0]) * out[1] + l.origin[1] + y * l.out_step[1]) * out[2] +
                    l.origin[2];
                if (!result.empty() && result.back().b_base + result.back().length == b &&
                    result.back().c_base + result.back().length * l.out_step[2] == c)
                    result.back().length += l.grid[2];
                else
                    result.push_back({column, l.grid[2], b, c});
            }
    return result;
}

// Outputs that no tap reaches.
template <class T>
void clear(const ConvShape& s, const Lattice& l, T* y) {
    const Extents out = s.out();
    for (int64_t plane = 0; plane < s.batch * s.out_channels; ++plane)
        for (int64_t i = 0; i < l.grid[0]; ++i)
            for (int64_t j = 0; j < l.grid[1]; ++j)
                for (int64_t k = 0; k < l.grid[2]; ++k)
                    y[plane * volume(out) +
                      ((l.origin[0] + i * l.out_step[0]) * out[1] + l.origin[1] + j * l.out_step[1]) * out[2] +
                      l.origin[2] + k * l.out_step[2]] = T{0};
}

// One channel in, one out: no matrix product, but weighted sums of rows.
template <class T>
void depthwise(const T* x, const T* w, T* y, const ConvShape& s, const std::vector<Lattice>& all,
               const PaddedPlane& plane, const GemmKernels<T>& kernels, bool accumulate, int threads) {
    const Extents out = s.out();
    const int64_t taps_of_kernel = volume(s.kernel), planes = s.batch * s.out_channels;
    const int64_t per_channel = s.out_channels / s.in_channels;
    std::vector<std::vector<int64_t>> offset;  // of every lattice's taps in the padded plane
    for (const Lattice& l : all) {
        offset.emplace_back();
        for (const Tap& tap : l.taps) offset.back().push_back(plane.at(tap.offset));
    }
    const bool plain = is_plain(plane, s);
    parallel_for(planes, 1 + 65536 / (volume(out) * taps_of_kernel), threads, [&](int64_t begin, int64_t end) {
        Buffer<T> buffer(plain ? 0 : plane.size()), line(out[2]);
        std::vector<T> weight;
        std::vector<const T*> source;
        int64_t held = -1;  // the plane of x that `buffer` holds
        for (int64_t i = begin; i < end; ++i) {
            const int64_t in_plane = i / per_channel, oc = i % s.out_channels;
            const T* image = x + in_plane * volume(s.in);
            if (!plain) {
                if (held != in_plane) pad_plane(image, s, plane, buffer.data());
                held = in_plane;
                image = buffer.data();
            }
            for (size_t n = 0; n < all.size(); ++n) {
                const Lattice& l = all[n];
                weight.clear();
                for (const Tap& tap : l.taps) weight.push_back(w[oc * taps_of_kernel + tap.index]);
                source.resize(l.taps.size());
                const auto taps = static_cast<int64_t>(l.taps.size());
                for (int64_t z = 0; z < l.grid[0]; ++z)
                    for (int64_t v = 0; v < l.grid[1]; ++v) {
                        const int64_t row = (z * l.in_step[0] * plane.height + v * l.in_step[1]) * plane.row;
                        for (size_t t = 0; t < l.taps.size(); ++t) source[t] = image + row + offset[n][t];
                        T* target =
                            y + i * volume(out) +
                            ((l.origin[0] + z * l.out_step[0]) * out[1] + l.origin[1] + v * l.out_step[1]) * out[2] +
                            l.origin[2];
                        if (l.out_step[2] == 1) {
                            kernels.weighted_rows(weight.data(), source.data(), taps, target, l.grid[2], accumulate);
                            continue;
                        }
                        kernels.weighted_rows(weight.data(), source.data(), taps, line.data(), l.grid[2], false);
                        for (int64_t j = 0; j < l.grid[2]; ++j)
                            target[j * l.out_step[2]] = line[j] + (accumulate ? target[j * l.out_step[2]] : T{0});
                    }
            }
        }
    });
}

}  // namespace

template <class T>
void conv_vector(const T* x, const T* w, T* y, const ConvShape& s, const GemmKernels<T>& kernels, bool accumulate,
                 int threads) {
    const std::vector<Lattice> all = lattices(s);
    const PaddedPlane plane = padded_plane(s, all);
    const int64_t ins = s.in_channels / s.groups, outs = s.out_channels / s.groups, taps_of_kernel = volume(s.kernel);
    if (ins == 1 && (outs == 1 || !s.transposed) && outs <= 4)
        return depthwise(x, w, y, s, all, plane, kernels, accumulate, threads);

    // Small images are taken together until their positions fill the tiles; large ones one by one, to pad no more of
    // the batch at a time than that.
    constexpr int64_t positions_wanted = 1024;
    const int64_t together = std::min(s.batch, 1 + positions_wanted / volume(s.out()));
    Buffer<T> buffer;
    std::vector<int64_t> a_offset, b_offset;
    for (int64_t first = 0; first < s.batch; first += together) {
        const int64_t images = std::min(together, s.batch - first);
        const T* source = padded(x, s, plane, first, images, buffer, threads);
        T* target = y + first * s.out_channels * volume(s.out());
        for (const Lattice& l : all) {
            if (l.taps.empty()) {
                if (!accumulate && first == 0) clear(s, l, y);
                continue;
            }
            const std::vector<Segment> parts = segments(s, l, plane, images);
            a_offset.clear();
            b_offset.clear();
            for (int64_t i = 0; i < ins; ++i)
                for (const Tap& tap : l.taps) {
                    a_offset.push_back((s.transposed ? i * outs : i) * taps_of_kernel + tap.index);
                    b_offset.push_back(i * plane.size() + plane.at(tap.offset));
                }
            BlockedProduct<T> product;
            product.m = outs;
            product.k = static_cast<int64_t>(b_offset.size());
            product.a_row = (s.transposed ? 1 : ins) * taps_of_kernel;
            // Without transposition the offsets are 0, 1, 2, ...: the weights are a matrix as they lie.
            product.a_offset = s.transposed ? a_offset.data() : nullptr;
            product.b_offset = b_offset.data();
            product.c_row = volume(s.out());
            product.c_step = l.out_step[2];
            product.segments = parts;
            product.accumulate = accumulate;
            const auto group = [&](int64_t g, int group_threads) {
                BlockedProduct<T> p = product;
                p.a = w + g * (s.transposed ? ins * outs : outs * ins) * taps_of_kernel;
                p.b = source + g * ins * plane.size();
                p.c = target + g * outs * volume(s.out());
                blocked_product(p, kernels, group_threads);
            };
            if (s.groups < 4)
                for (int64_t g = 0; g < s.groups; ++g) group(g, threads);
            else
                parallel_for(s.groups, 1, threads, [&](int64_t begin, int64_t end) {
                    for (int64_t g = begin; g < end; ++g) group(g, 1);
                });
        }
    }
}

template void conv_vector(const uint32_t*, const uint32_t*, uint32_t*, const ConvShape&, const GemmKernels<uint32_t>&,
                          bool, int);
template void conv_vector(const uint64_t*, const uint64_t*, uint64_t*, const ConvShape&, const GemmKernels<uint64_t>&,
                          bool, int);

}  // namespace moiety::ring
