#include "graph/spmm.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/buffer.hpp"
#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/scratch.hpp"
#include "graph/schedule.hpp"
#include "graph/spmm_kernels.hpp"
#include "nn/float_value.hpp"

namespace moiety::graph {
namespace {

using nn::put;
using nn::value;

// Sources are packed where `packing_bytes` says so and where each is read often enough to pay for the copy.
constexpr int64_t packed_degree = 4;
constexpr int64_t most_packed_bytes = int64_t{64} << 20;
// A panel is at least as many bytes a source, so that whole cache lines and the next ones are used.
constexpr int64_t narrowest_panel_bytes = 256;

template <class T, class I>
Weight<T> factor(const SpmmTask<T, I>& t, int64_t e, int64_t feature) {
    return t.weight == nullptr ? Weight<T>{1} : t.weight[e * t.heads + (t.spread ? t.head(feature) : 0)];
}

template <class T, class I>
void sum_rows_scalar(const SpmmTask<T, I>& t, int64_t begin, int64_t end) {
    Buffer<Weight<T>> sum(t.width);
    for (int64_t i = begin; i < end; ++i) {
        std::fill(sum.data(), sum.data() + t.width, Weight<T>{0});
        const int64_t first = t.a.row_start[i], last = t.a.row_start[i + 1];
        for (int64_t e = first; e < last; ++e)
            for (int64_t f = 0; f < t.width; ++f) sum[f] += factor(t, e, f) * value(t.x[t.a.column[e] * t.ldx + f]);
        const bool divide = t.mean && last > first;
        for (int64_t f = 0; f < t.width; ++f)
            put(t.y + i * t.ldy + f, divide ? sum[f] / static_cast<Weight<T>>(last - first) : sum[f]);
    }
}

template <class T, class I>
void extreme_rows_scalar(const SpmmTask<T, I>& t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
        for (int64_t f = 0; f < t.width; ++f) {
            const int64_t first = t.a.row_start[i], last = t.a.row_start[i + 1];
            Weight<T> best = 0;
            int32_t where = -1;
            for (int64_t e = first; e < last; ++e) {
                const Weight<T> v = factor(t, e, f) * value(t.x[t.a.column[e] * t.ldx + f]);
                if (e > first && !(t.least ? v < best : v > best) && v == v) continue;
                best = v;
                where = static_cast<int32_t>(e);
            }
            put(t.y + i * t.ldy + f, best);
            if (t.argument != nullptr) t.argument[i * t.ldy + f] = where;
        }
}

template <class T, class I>
constexpr SpmmKernels<T, I> scalar_table() {
    if constexpr (std::is_integral_v<T>)
        return {1, sum_rows_scalar<T, I>, nullptr};
    else
        return {std::numeric_limits<int64_t>::max(), sum_rows_scalar<T, I>, extreme_rows_scalar<T, I>};
}

template <class T, class I>
const SpmmKernels<T, I>& kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return spmm_avx512<T, I>();
    if (isa() == Isa::avx2) return spmm_avx2<T, I>();
#endif
    static constexpr SpmmKernels<T, I> scalar = scalar_table<T, I>();
    return scalar;
}

// Columns [0, width) of rows of x, in `order`, one behind the other.
template <class T, class I>
void pack(const T* x, int64_t ldx, const I* order, T* packed, int64_t rows, int64_t width, int threads) {
    parallel_for(rows, 1 + (1 << 18) / width, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t from = order == nullptr ? i : order[i];
            std::memcpy(packed + i * width, x + from * ldx, static_cast<size_t>(width) * sizeof(T));
        }
    });
}

template <class T, class I>
void run(SpmmTask<T, I> whole, const I* order, void (*kernel)(const SpmmTask<T, I>&, int64_t, int64_t),
         int64_t most_heads, int threads) {
    const int64_t width = whole.width, columns = whole.a.columns;
    if (width == 0 || whole.a.rows == 0) return;
    constexpr int64_t size = sizeof(T), lanes = 64 / size;
    const bool by_head = whole.spread && whole.heads > most_heads;
    const bool packs =
        order != nullptr || (columns * width * size > packing_bytes && whole.a.edges() >= packed_degree * columns);
    const int64_t fitting = std::max(narrowest_panel_bytes, most_packed_bytes / std::max<int64_t>(columns, 1)) / size;
    const int64_t panel = by_head ? whole.head_width : packs ? std::min(width, fitting / lanes * lanes) : width;
    Scratch<T> packed(packs ? columns * panel : 0);
    advise_huge_pages(whole.y, whole.a.rows * width * size);
    for (int64_t f = 0; f < width; f += panel) {
        SpmmTask<T, I> task = whole;
        task.first = f;
        if (by_head) {
            task.weight += f / whole.head_width;
            task.spread = false;
        }
        task.width = std::min(panel, width - f);
        task.x += f;
        task.y += f;
        if (task.argument != nullptr) task.argument += f;
        if (packs) {
            pack(task.x, whole.ldx, order, packed.data(), columns, task.width, threads);
            task.x = packed.data();
            task.ldx = task.width;
        }
        for_rows(task.a.row_start, task.a.rows, task.width, threads,
                 [&](int64_t begin, int64_t end) { kernel(task, begin, end); });
    }
}

template <class T, class I>
SpmmTask<T, I> task_of(const char* name, const Csr<I>& a, const EdgeWeights<T>& w, const T* x, T* y, int64_t width) {
    check(width >= 0 && w.heads >= 1 && width % w.heads == 0, name, ": expected heads that divide the width, got ",
          w.heads, " and ", width);
    SpmmTask<T, I> task{};
    task.a = a;
    task.weight = w.values;
    task.heads = w.heads;
    task.spread = w.values != nullptr && w.heads > 1;
    task.head_width = std::max<int64_t>(1, width / w.heads);
    task.x = x;
    task.y = y;
    task.ldx = task.ldy = task.width = width;
    return task;
}

}  // namespace

template <class T, class I>
void spmm(const Csr<I>& a, const EdgeWeights<T>& weights, const I* order, const T* x, T* y, int64_t width, bool mean,
          int threads) {
    SpmmTask<T, I> task = task_of("spmm", a, weights, x, y, width);
    check(!std::is_integral_v<T> || (!mean && weights.heads == 1),
          "spmm: a ring has sums with one weight an edge only");
    task.mean = mean;
    const SpmmKernels<T, I>& k = kernels<T, I>();
    run(task, order, k.sum, k.most_heads, threads);
}

template <class T, class I>
void spmm_extreme(const Csr<I>& a, const EdgeWeights<T>& weights, const I* order, const T* x, T* y, int32_t* argument,
                  int64_t width, bool least, int threads) {
    SpmmTask<T, I> task = task_of("spmm_extreme", a, weights, x, y, width);
    task.argument = argument;
    task.least = least;
    constexpr int64_t most = std::numeric_limits<int32_t>::max();
    check(argument == nullptr || a.edges() <= most,
          "spmm_extreme: the edges of a graph are told apart by 32 bits here: ", "expected at most ", most, ", got ",
          a.edges());
    const SpmmKernels<T, I>& k = kernels<T, I>();
    run(task, order, k.extreme, k.most_heads, threads);
}

template <class T, class I>
void spmm_extreme_backward(const Csr<I>& a, const EdgeWeights<T>& weights, const T* x, const T* dy,
                           const int32_t* argument, Weight<T>* dx, Weight<T>* dweight, int64_t width, int threads) {
    const SpmmTask<T, I> t = task_of<T, I>("spmm_extreme_backward", a, weights, x, nullptr, width);
    if (width == 0) return;
    // Heads share no weights, features do: with gradients of weights a thread owns whole heads.
    const int64_t unit = dweight != nullptr ? t.head_width : std::min<int64_t>(width, 16);
    const int64_t units = (width + unit - 1) / unit;
    const int64_t grain = 1 + (int64_t{1} << 16) / std::max<int64_t>(1, a.rows * unit);
    parallel_for(units, grain, threads, [&](int64_t first, int64_t last) {
        const int64_t begin = first * unit, end = std::min(width, last * unit);
        for (int64_t i = 0; i < a.rows; ++i) {
            if (a.row_start[i] == a.row_start[i + 1]) continue;
            for (int64_t f = begin; f < end; ++f) {
                const int64_t e = argument[i * width + f];
                const int64_t at = a.column[e] * width + f;
                const Weight<T> gradient = value(dy[i * width + f]);
                dx[at] += factor(t, e, f) * gradient;
                if (dweight != nullptr) dweight[e * t.heads + t.head(f)] += value(x[at]) * gradient;
            }
        }
    });
}

#define MOIETY_SPMM(T, I) \
    template void spmm(const Csr<I>&, const EdgeWeights<T>&, const I*, const T*, T*, int64_t, bool, int)
#define MOIETY_SPMM_EXTREME(T, I)                                                                                     \
    MOIETY_SPMM(T, I);                                                                                                \
    template void spmm_extreme(const Csr<I>&, const EdgeWeights<T>&, const I*, const T*, T*, int32_t*, int64_t, bool, \
                               int);                                                                                  \
    template void spmm_extreme_backward(const Csr<I>&, const EdgeWeights<T>&, const T*, const T*, const int32_t*,     \
                                        Weight<T>*, Weight<T>*, int64_t, int)

MOIETY_SPMM_EXTREME(float, int32_t);
MOIETY_SPMM_EXTREME(float, int64_t);
MOIETY_SPMM_EXTREME(double, int32_t);
MOIETY_SPMM_EXTREME(double, int64_t);
MOIETY_SPMM_EXTREME(Bf16, int32_t);
MOIETY_SPMM_EXTREME(Bf16, int64_t);
MOIETY_SPMM(uint32_t, int32_t);
MOIETY_SPMM(uint32_t, int64_t);
MOIETY_SPMM(uint64_t, int32_t);
MOIETY_SPMM(uint64_t, int64_t);
#undef MOIETY_SPMM
#undef MOIETY_SPMM_EXTREME

}  // namespace moiety::graph
