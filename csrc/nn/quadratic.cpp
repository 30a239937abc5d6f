#include "nn/quadratic.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "core/buffer.hpp"
#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "nn/float_value.hpp"
#include "nn/quadratic_kernels.hpp"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace moiety::nn {
namespace {

// Elements of a block: enough to pay for waking a thread. Blocks have sums of their own, hence not many of them.
constexpr int64_t block_elements = int64_t{1} << 16;
constexpr int64_t max_blocks = 64;
// A longer run of one channel is cut, so that a tensor of few runs still feeds all threads.
constexpr int64_t longest_run = int64_t{1} << 14;
// Outputs of more bytes are written past the cache: the next layer would find little of them there.
constexpr int64_t stream_bytes = int64_t{8} << 20;
// Shorter runs share too many of their cache lines with neighbours to be written past the cache.
constexpr int64_t stream_run_bytes = 2048;

float activated(float x, const Quadratic& c) { return (c.w1 * x + c.w2) * x + c.b + c.r * (x > 0 ? x : 0); }

// The term's gradient with respect to x; adds the terms of the coefficients to every `step`-th of `sums`.
float gradient(float x, float dy, const Quadratic& c, double* sums, int64_t step) {
    const float weighted = dy * x;
    sums[0] += static_cast<double>(weighted) * static_cast<double>(x);
    sums[step] += static_cast<double>(weighted);
    sums[2 * step] += static_cast<double>(dy);
    sums[3 * step] += static_cast<double>(x > 0 ? weighted : 0);
    return dy * (2 * c.w1 * x + c.w2 + (x > 0 ? c.r : 0));
}

Quadratic column(const float* table, int64_t period, int64_t j) {
    return {table[j], table[period + j], table[2 * period + j], table[3 * period + j]};
}

template <class T>
void forward_run_scalar(const T* x, T* y, int64_t n, const Quadratic& c, bool, bool) {
    for (int64_t i = 0; i < n; ++i) put(y + i, activated(value(x[i]), c));
}

template <class T>
void backward_run_scalar(const T* x, const T* dy, T* dx, int64_t n, const Quadratic& c, bool, bool, double* sums) {
    for (int64_t i = 0; i < n; ++i) put(dx + i, gradient(value(x[i]), value(dy[i]), c, sums, 1));
}

template <class T>
void forward_rows_scalar(const T* x, T* y, int64_t n, int64_t period, const float* table, bool, bool) {
    for (int64_t i = 0, j = 0; i < n; ++i, j = j + 1 == period ? 0 : j + 1)
        put(y + i, activated(value(x[i]), column(table, period, j)));
}

template <class T>
void backward_rows_scalar(const T* x, const T* dy, T* dx, int64_t n, int64_t period, const float* table, bool, bool,
                          float*, double* sums) {
    for (int64_t i = 0, j = 0; i < n; ++i, j = j + 1 == period ? 0 : j + 1)
        put(dx + i, gradient(value(x[i]), value(dy[i]), column(table, period, j), sums + j, period));
}

template <class T>
constexpr QuadraticKernels<T> scalar_kernels{1, forward_run_scalar<T>, backward_run_scalar<T>, forward_rows_scalar<T>,
                                             backward_rows_scalar<T>};

template <class T>
const QuadraticKernels<T>& kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return quadratic_avx512<T>();
    if (isa() == Isa::avx2) return quadratic_avx2<T>();
#endif
    return scalar_kernels<T>;
}

float at(std::span<const float> values, int64_t channel) {
    return values.empty() ? 0.0f : values[values.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

Quadratic of_channel(const Coefficients& c, int64_t channel) {
    return {at(c.w1, channel), at(c.w2, channel), at(c.b, channel), at(c.r, channel)};
}

void validate(const char* name, const ChannelShape& s, const Coefficients& c) {
    check(s.outer >= 0 && s.channels >= 1 && s.inner >= 0, name,
          ": expected outer >= 0, channels >= 1, inner >= 0, got ", s.outer, ", ", s.channels, ", ", s.inner);
    const auto fits = [&](std::span<const float> v) {
        return v.size() == 1 || v.size() == static_cast<size_t>(s.channels);
    };
    check(fits(c.w1) && fits(c.w2) && fits(c.b) && (c.r.empty() || fits(c.r)), name, ": expected coefficients of 1 or ",
          s.channels, " numbers, got w1=", c.w1.size(), " w2=", c.w2.size(), " b=", c.b.size(), " r=", c.r.size());
}

// How the elements are cut: `units` of work, `per_block` of them to a block with sums of its own, `columns` sums each.
struct Plan {
    bool rows;        // the coefficients change along the fastest axis
    int64_t columns;  // channels told apart: 1, the channels, or for rows the period
    int64_t run;      // elements of one channel in a run, or of one row
    int64_t cuts;     // pieces of a run
    int64_t units, per_block;

    int64_t blocks() const { return (units + per_block - 1) / per_block; }
};

Plan make_plan(const ChannelShape& s, const Coefficients& c, int64_t lanes) {
    Plan p{};
    const int64_t n = s.size();
    const bool uniform = s.channels == 1 || std::max({c.w1.size(), c.w2.size(), c.b.size(), c.r.size()}) == 1;
    p.rows = !uniform && (s.channels_last || s.inner == 1);
    p.cuts = 1;
    if (p.rows) {
        p.columns = p.run = std::lcm(s.channels, lanes);
        p.units = (n + p.run - 1) / p.run;
    } else {
        p.columns = uniform ? 1 : s.channels;
        p.run = uniform ? n : s.inner;
        p.cuts = std::max<int64_t>(1, (p.run + longest_run - 1) / longest_run);
        p.units = (uniform ? 1 : s.outer * s.channels) * p.cuts;
    }
    const int64_t elements = std::max<int64_t>(1, std::min(p.run, longest_run));
    const int64_t wanted = std::max<int64_t>(1, block_elements / elements);
    p.per_block = std::max({wanted, (p.units + max_blocks - 1) / max_blocks, int64_t{1}});
    return p;
}

// w1, w2, b, r of every column.
Buffer<float> make_table(const Plan& p, const ChannelShape& s, const Coefficients& c) {
    Buffer<float> table(quadratic_terms * p.columns);
    for (int64_t j = 0; j < p.columns; ++j) {
        const Quadratic q = of_channel(c, j % s.channels);
        table[j] = q.w1;
        table[p.columns + j] = q.w2;
        table[2 * p.columns + j] = q.b;
        table[3 * p.columns + j] = q.r;
    }
    return table;
}

// f(offset, count, channel) for every piece of a run among the units of a block.
template <class F>
void for_runs(const Plan& p, int64_t block, F f) {
    const int64_t end = std::min(p.units, (block + 1) * p.per_block);
    for (int64_t unit = block * p.per_block; unit < end; ++unit) {
        const int64_t run = unit / p.cuts, begin = unit % p.cuts * longest_run;
        f(run * p.run + begin, std::min(longest_run, p.run - begin), run % p.columns);
    }
}

template <class T>
bool streams(const Plan& p, int64_t n) {
    constexpr int64_t size = sizeof(T);
    return n * size > stream_bytes && (p.rows || p.run * size >= stream_run_bytes);
}

// Orders streamed stores before whatever tells another thread that they are done.
void fence([[maybe_unused]] bool stream) {
#if defined(__x86_64__)
    if (stream) _mm_sfence();
#endif
}

}  // namespace

template <class T>
void quadratic_forward(const ChannelShape& shape, const T* x, const Coefficients& c, T* y, int threads) {
    validate("quadratic_forward", shape, c);
    const int64_t n = shape.size();
    if (n == 0) return;
    const QuadraticKernels<T>& k = kernels<T>();
    const Plan p = make_plan(shape, c, k.lanes);
    const bool hinge = !c.r.empty(), stream = streams<T>(p, n);
    const Buffer<float> table = p.rows ? make_table(p, shape, c) : Buffer<float>();
    parallel_for(p.blocks(), 1, threads, [&](int64_t first, int64_t last) {
        if (p.rows) {
            const int64_t begin = first * p.per_block * p.run, end = std::min(n, last * p.per_block * p.run);
            k.forward_rows(x + begin, y + begin, end - begin, p.run, table.data(), hinge, stream);
            return fence(stream);
        }
        for (int64_t block = first; block < last; ++block)
            for_runs(p, block, [&](int64_t offset, int64_t count, int64_t channel) {
                k.forward_run(x + offset, y + offset, count, of_channel(c, channel), hinge, stream);
            });
        fence(stream);
    });
}

template <class T>
void quadratic_backward(const ChannelShape& shape, const T* x, const T* dy, const Coefficients& c, T* dx,
                        const CoefficientGradients& g, int threads) {
    validate("quadratic_backward", shape, c);
    check(g.w1.size() == c.w1.size() && g.w2.size() == c.w2.size() && g.b.size() == c.b.size() &&
              g.r.size() == c.r.size(),
          "quadratic_backward: expected gradients of the coefficients' sizes, got w1=", g.w1.size(),
          " w2=", g.w2.size(), " b=", g.b.size(), " r=", g.r.size());
    const int64_t n = shape.size();
    const QuadraticKernels<T>& k = kernels<T>();
    const Plan p = make_plan(shape, c, k.lanes);
    const bool hinge = !c.r.empty(), stream = streams<T>(p, n);
    const int64_t width = quadratic_terms * p.columns;
    Buffer<double> sums(std::max<int64_t>(1, p.blocks()) * width);
    std::memset(sums.data(), 0, static_cast<size_t>(sums.size()) * sizeof(double));
    const Buffer<float> table = p.rows ? make_table(p, shape, c) : Buffer<float>();
    parallel_for(n == 0 ? 0 : p.blocks(), 1, threads, [&](int64_t first, int64_t last) {
        Buffer<float> scratch(p.rows ? width : 0);
        for (int64_t block = first; block < last; ++block) {
            double* totals = sums.data() + block * width;
            if (p.rows) {
                const int64_t begin = block * p.per_block * p.run, end = std::min(n, begin + p.per_block * p.run);
                k.backward_rows(x + begin, dy + begin, dx + begin, end - begin, p.run, table.data(), hinge, stream,
                                scratch.data(), totals);
                continue;
            }
            for_runs(p, block, [&](int64_t offset, int64_t count, int64_t channel) {
                k.backward_run(x + offset, dy + offset, dx + offset, count, of_channel(c, channel), hinge, stream,
                               totals + quadratic_terms * channel);
            });
        }
        fence(stream);
    });

    // Blocks in order, then columns into channels, then channels into a coefficient that they share.
    const int64_t width_of_term = p.rows ? p.columns : 1, term_of_column = p.rows ? 1 : quadratic_terms;
    for (int64_t block = 1; block < p.blocks(); ++block)
        for (int64_t i = 0; i < width; ++i) sums[i] += sums[block * width + i];
    Buffer<double> channels(shape.channels);
    const std::span<float> out[] = {g.w1, g.w2, g.b, g.r};
    for (int64_t term = 0; term < quadratic_terms; ++term) {
        const std::span<float> target = out[term];
        if (target.empty()) continue;
        std::fill(channels.data(), channels.data() + channels.size(), 0.0);
        for (int64_t j = 0; j < p.columns; ++j)
            channels[j % shape.channels] += sums[term * width_of_term + j * term_of_column];
        if (target.size() == 1) {
            target[0] = static_cast<float>(std::accumulate(channels.data(), channels.data() + channels.size(), 0.0));
            continue;
        }
        for (int64_t j = 0; j < shape.channels; ++j) target[static_cast<size_t>(j)] = static_cast<float>(channels[j]);
    }
}

#define MOIETY_QUADRATIC(T)                                                                            \
    template void quadratic_forward(const ChannelShape&, const T*, const Coefficients&, T*, int);      \
    template void quadratic_backward(const ChannelShape&, const T*, const T*, const Coefficients&, T*, \
                                     const CoefficientGradients&, int)

MOIETY_QUADRATIC(float);
MOIETY_QUADRATIC(Bf16);
#undef MOIETY_QUADRATIC

}  // namespace moiety::nn
