#include "graph/gat.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/buffer.hpp"
#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/scratch.hpp"
#include "graph/gat_kernels.hpp"
#include "graph/schedule.hpp"
#include "nn/float_value.hpp"

namespace moiety::graph {
namespace {

using nn::put;
using nn::value;

template <class W>
W leaky(W z, double slope) {
    return z > 0 ? z : static_cast<W>(slope) * z;
}

template <class T, class I>
void forward_rows_scalar(const GatForward<T, I>& t, int64_t begin, int64_t end) {
    using W = Weight<T>;
    const int64_t heads = t.shape.heads, features = t.shape.head_width;
    Buffer<W> sum(features), positive(features);
    for (int64_t i = begin; i < end; ++i)
        for (int64_t h = 0; h < heads; ++h) {
            const int64_t first = t.a.row_start[i], last = t.a.row_start[i + 1], at = i * heads + h;
            const auto score = [&](int64_t e) { return t.source[t.a.column[e] * heads + h] + t.target[at]; };
            W most = -std::numeric_limits<W>::infinity(), total = 0, share = 0;
            for (int64_t e = first; e < last; ++e) most = std::max(most, leaky(score(e), t.shape.slope));
            for (int64_t e = first; e < last; ++e) total += std::exp(leaky(score(e), t.shape.slope) - most);
            std::fill(sum.data(), sum.data() + features, W{0});
            std::fill(positive.data(), positive.data() + features, W{0});
            for (int64_t e = first; e < last; ++e) {
                const W alpha = std::exp(leaky(score(e), t.shape.slope) - most) / total;
                const T* x = t.x + (t.a.column[e] * heads + h) * features;
                for (int64_t f = 0; f < features; ++f) sum[f] += alpha * value(x[f]);
                if (!(score(e) > 0)) continue;
                share += alpha;
                for (int64_t f = 0; f < features; ++f) positive[f] += alpha * value(x[f]);
            }
            for (int64_t f = 0; f < features; ++f) put(t.y + at * features + f, sum[f]);
            if (t.saved.positive == nullptr) continue;
            std::copy(positive.data(), positive.data() + features, t.saved.positive + at * features);
            t.saved.log_sum[at] = first == last ? 0 : most + std::log(total);
            t.saved.share[at] = share;
        }
}

template <class T>
void targets_rows_scalar(const GatTargets<T>& t, int64_t begin, int64_t end) {
    const int64_t heads = t.shape.heads, features = t.shape.head_width;
    for (int64_t at = begin * heads; at < end * heads; ++at) {
        Weight<T> delta = 0, positive = 0;
        for (int64_t f = at * features; f < (at + 1) * features; ++f) {
            delta += value(t.dy[f]) * value(t.y[f]);
            positive += value(t.dy[f]) * t.saved.positive[f];
        }
        Weight<T>* node = t.node + at / heads * gat_node_terms * heads + at % heads;
        node[0] = t.target[at];
        node[heads] = t.saved.log_sum[at];
        node[2 * heads] = delta;
        t.dtarget[at] = static_cast<Weight<T>>(1 - t.shape.slope) * (positive - delta * t.saved.share[at]);
    }
}

template <class T, class I>
void sources_rows_scalar(const GatSources<T, I>& t, int64_t begin, int64_t end) {
    using W = Weight<T>;
    const int64_t heads = t.shape.heads, features = t.shape.head_width;
    Buffer<W> sum(features);
    for (int64_t at = begin * heads; at < end * heads; ++at) {
        const int64_t j = at / heads, h = at % heads;
        const T* x = t.x + at * features;
        W total = 0;
        std::fill(sum.data(), sum.data() + features, W{0});
        for (int64_t e = t.by_source.row_start[j]; e < t.by_source.row_start[j + 1]; ++e) {
            const int64_t i = t.by_source.column[e];
            const W* node = t.node + i * gat_node_terms * heads + h;
            const T* dy = t.dy + (i * heads + h) * features;
            const W z = t.source[at] + node[0], alpha = std::exp(leaky(z, t.shape.slope) - node[heads]);
            W g = 0;
            for (int64_t f = 0; f < features; ++f) {
                g += value(dy[f]) * value(x[f]);
                sum[f] += alpha * value(dy[f]);
            }
            total += alpha * (g - node[2 * heads]) * (z > 0 ? 1 : static_cast<W>(t.shape.slope));
        }
        for (int64_t f = 0; f < features; ++f) put(t.dx + at * features + f, sum[f]);
        t.dsource[at] = total;
    }
}

template <class T, class I>
const GatKernels<T, I>& kernels([[maybe_unused]] int64_t heads) {
    static constexpr GatKernels<T, I> scalar{std::numeric_limits<int64_t>::max(), forward_rows_scalar<T, I>,
                                             targets_rows_scalar<T>, sources_rows_scalar<T, I>};
#if defined(__x86_64__)
    if constexpr (!std::is_same_v<T, double>) {
        if (isa() == Isa::avx512 && heads <= gat_avx512<T, I>().most_heads) return gat_avx512<T, I>();
        if (isa() == Isa::avx2 && heads <= gat_avx2<T, I>().most_heads) return gat_avx2<T, I>();
    }
#endif
    return scalar;
}

void validate(const char* name, const GatShape& s) {
    check(s.heads >= 1 && s.head_width >= 1, name, ": expected heads and features >= 1, got ", s.heads, " and ",
          s.head_width);
    check(s.slope >= 0, name, ": expected a slope >= 0, got ", s.slope);
}

template <class I>
int64_t longest_row(const Csr<I>& a) {
    int64_t longest = 0;
    for (int64_t i = 0; i < a.rows; ++i) longest = std::max(longest, a.row_start[i + 1] - a.row_start[i]);
    return longest;
}

}  // namespace

template <class T, class I>
void gat_forward(const Csr<I>& a, const GatShape& shape, const T* x, const Weight<T>* score_source,
                 const Weight<T>* score_target, T* y, const GatSaved<T>& saved, int threads) {
    validate("gat_forward", shape);
    const GatKernels<T, I>& k = kernels<T, I>(shape.heads);
    const GatForward<T, I> task{a, shape, x, score_source, score_target, y, saved, longest_row(a)};
    advise_huge_pages(y, a.rows * shape.width() * static_cast<int64_t>(sizeof(T)));
    for_rows(a.row_start, a.rows, shape.width() + 8 * shape.heads, threads,
             [&](int64_t begin, int64_t end) { k.forward(task, begin, end); });
}

template <class T, class I>
void gat_backward(const Csr<I>& by_source, const GatShape& shape, const T* x, const Weight<T>* score_source,
                  const Weight<T>* score_target, const T* y, const GatSaved<T>& saved, const T* dy, T* dx,
                  Weight<T>* dscore_source, Weight<T>* dscore_target, int threads) {
    validate("gat_backward", shape);
    const GatKernels<T, I>& k = kernels<T, I>(shape.heads);
    const int64_t targets = by_source.columns;
    Scratch<Weight<T>> node(targets * gat_node_terms * shape.heads);
    const GatTargets<T> rows{shape, score_target, y, dy, saved, node.data(), dscore_target};
    parallel_for(targets, 1 + (1 << 16) / shape.width(), threads,
                 [&](int64_t begin, int64_t end) { k.targets(rows, begin, end); });
    const GatSources<T, I> task{by_source, shape, x, score_source, node.data(), dy, dx, dscore_source};
    advise_huge_pages(dx, by_source.rows * shape.width() * static_cast<int64_t>(sizeof(T)));
    for_rows(by_source.row_start, by_source.rows, 2 * shape.width() + 8 * shape.heads, threads,
             [&](int64_t begin, int64_t end) { k.sources(task, begin, end); });
}

#define MOIETY_GAT(T, I)                                                                                               \
    template void gat_forward(const Csr<I>&, const GatShape&, const T*, const Weight<T>*, const Weight<T>*, T*,        \
                              const GatSaved<T>&, int);                                                                \
    template void gat_backward(const Csr<I>&, const GatShape&, const T*, const Weight<T>*, const Weight<T>*, const T*, \
                               const GatSaved<T>&, const T*, T*, Weight<T>*, Weight<T>*, int)

MOIETY_GAT(float, int32_t);
MOIETY_GAT(float, int64_t);
MOIETY_GAT(double, int32_t);
MOIETY_GAT(double, int64_t);
MOIETY_GAT(Bf16, int32_t);
MOIETY_GAT(Bf16, int64_t);
#undef MOIETY_GAT

}  // namespace moiety::graph
