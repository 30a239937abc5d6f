#include "ring/pool.hpp"

#include <algorithm>
#include <sstream>
#include <vector>

#include "core/check.hpp"
#include "core/parallel.hpp"

namespace moiety::ring {
namespace {

using Extents = std::array<int64_t, 3>;

int64_t volume(const Extents& e) { return e[0] * e[1] * e[2]; }

// The windows of one dimension, cut to the input.
std::vector<Window> windows(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t out) {
    std::vector<Window> result;
    for (int64_t o = 0; o < out; ++o) {
        const int64_t begin = o * stride - padding;
        result.push_back({std::clamp<int64_t>(begin, 0, in), std::clamp<int64_t>(begin + kernel, 0, in)});
    }
    return result;
}

template <class T>
void sum_windows(const T* x, T* y, int64_t planes, const Extents& in, const std::array<std::vector<Window>, 3>& w,
                 int threads) {
    const int64_t out_plane = static_cast<int64_t>(w[0].size() * w[1].size() * w[2].size());
    const int64_t width = in[2];
    parallel_for(planes, 1 + 65536 / std::max(volume(in), out_plane), threads, [&](int64_t begin, int64_t end) {
        std::vector<T> row(static_cast<size_t>(width));
        for (int64_t plane = begin; plane < end; ++plane) {
            const T* source = x + plane * volume(in);
            T* target = y + plane * out_plane;
            for (const Window& wz : w[0])
                for (const Window& wy : w[1]) {
                    std::fill(row.begin(), row.end(), T{0});
                    for (int64_t z = wz.begin; z < wz.end; ++z)
                        for (int64_t v = wy.begin; v < wy.end; ++v) {
                            const T* line = source + (z * in[1] + v) * width;
                            for (int64_t i = 0; i < width; ++i) row[static_cast<size_t>(i)] += line[i];
                        }
                    for (const Window& wx : w[2]) {
                        T total{0};
                        for (int64_t i = wx.begin; i < wx.end; ++i) total += row[static_cast<size_t>(i)];
                        *target++ = total;
                    }
                }
        }
    });
}

}  // namespace

Extents PoolShape::out() const {
    Extents result{};
    for (size_t d = 0; d < 3; ++d) {
        const int64_t room = in[d] + 2 * padding[d] - kernel[d];
        result[d] = room < 0 ? 0 : room / stride[d] + 1;
    }
    return result;
}

int64_t PoolShape::in_size() const { return planes * volume(in); }

int64_t PoolShape::out_size() const { return planes * volume(out()); }

void PoolShape::validate() const {
    constexpr int64_t limit = int64_t{1} << 40;
    const auto within = [](int64_t value, int64_t least) { return value >= least && value <= limit; };
    check(within(planes, 0), "pool_sum: expected planes >= 0, got ", describe());
    for (size_t d = 0; d < 3; ++d) {
        check(within(in[d], 1) && within(kernel[d], 1) && within(stride[d], 1) && within(padding[d], 0),
              "pool_sum: expected positive input, kernel and stride and padding >= 0, got ", describe());
        check(2 * padding[d] <= kernel[d], "pool_sum: expected padding of at most half the kernel, got ", describe());
    }
    const Extents o = out();
    check(o[0] >= 1 && o[1] >= 1 && o[2] >= 1, "pool_sum: the output would be empty: ", describe());
}

std::string PoolShape::describe() const {
    std::ostringstream text;
    text << "planes " << planes;
    const auto print = [&](const char* name, const Extents& e) {
        text << ' ' << name << ' ' << e[0] << 'x' << e[1] << 'x' << e[2];
    };
    print("input", in);
    print("kernel", kernel);
    print("stride", stride);
    print("padding", padding);
    return text.str();
}

template <class T>
void pool_sum(const T* x, T* y, const PoolShape& shape, int threads) {
    shape.validate();
    const Extents out = shape.out();
    std::array<std::vector<Window>, 3> w;
    for (size_t d = 0; d < 3; ++d)
        w[d] = windows(shape.in[d], shape.kernel[d], shape.stride[d], shape.padding[d], out[d]);
    sum_windows(x, y, shape.planes, shape.in, w, threads);
}

Window adaptive_window(int64_t o, int64_t in, int64_t out) { return {o * in / out, ((o + 1) * in + out - 1) / out}; }

template <class T>
void adaptive_pool_sum(const T* x, T* y, int64_t planes, const Extents& in, const Extents& out, int threads) {
    std::array<std::vector<Window>, 3> w;
    for (size_t d = 0; d < 3; ++d) {
        check(planes >= 0 && in[d] >= 1 && out[d] >= 1,
              "adaptive_pool_sum: expected planes >= 0 and positive extents, got planes ", planes, " input ", in[d],
              " output ", out[d], " in dimension ", d);
        for (int64_t o = 0; o < out[d]; ++o) w[d].push_back(adaptive_window(o, in[d], out[d]));
    }
    sum_windows(x, y, planes, in, w, threads);
}

template void pool_sum(const uint32_t*, uint32_t*, const PoolShape&, int);
template void pool_sum(const uint64_t*, uint64_t*, const PoolShape&, int);
template void adaptive_pool_sum(const uint32_t*, uint32_t*, int64_t, const Extents&, const Extents&, int);
template void adaptive_pool_sum(const uint64_t*, uint64_t*, int64_t, const Extents&, const Extents&, int);

}  // namespace moiety::ring
