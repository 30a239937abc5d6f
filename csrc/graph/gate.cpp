#include "graph/gate.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/scratch.hpp"
#include "graph/gate_kernels.hpp"
#include "graph/schedule.hpp"

namespace moiety::graph {
namespace {

template <class T>
void gate_rows_scalar(const GateTask<T>& t, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
        const T* own = t.own + row * t.width;
        T *sum = t.sum + row * t.width, *rise = t.rise + row * t.width;
        std::fill(sum, sum + t.width, T{0});
        std::fill(rise, rise + t.width, T{0});
        for (int64_t e = t.row_start[row]; e < t.row_start[row + 1]; ++e) {
            const T *other = t.other + t.column(e) * t.width, *value = t.values + t.column(e) * t.width;
            for (int64_t f = 0; f < t.width; ++f) {
                const T gate = 1 / (1 + std::exp(-own[f] - other[f]));
                sum[f] += gate * value[f];
                rise[f] += gate * (1 - gate) * value[f];
            }
        }
    }
}

template <class T>
auto kernel() {
#if defined(__x86_64__)
    if constexpr (std::is_same_v<T, float>) {
        if (isa() == Isa::avx512) return gate_avx512();
        if (isa() == Isa::avx2) return gate_avx2();
    }
#endif
    return &gate_rows_scalar<T>;
}

}  // namespace

template <class T, class I>
void gated_sum(const Csr<I>& a, const T* own, const T* other, const T* values, T* sum, T* rise, int64_t width,
               int threads) {
    check(width >= 0, "gated_sum: expected features >= 0, got ", width);
    GateTask<T> task{a.row_start, a.edges(), nullptr, nullptr, own, other, values, sum, rise, width};
    if constexpr (sizeof(I) == 4)
        task.narrow = a.column;
    else
        task.wide = a.column;
    for (T* result : {sum, rise}) advise_huge_pages(result, a.rows * width * static_cast<int64_t>(sizeof(T)));
    const auto rows = kernel<T>();
    for_rows(a.row_start, a.rows, 8 * width, threads, [&](int64_t begin, int64_t end) { rows(task, begin, end); });
}

#define MOIETY_GATE(T, I) template void gated_sum(const Csr<I>&, const T*, const T*, const T*, T*, T*, int64_t, int)
MOIETY_GATE(float, int32_t);
MOIETY_GATE(float, int64_t);
MOIETY_GATE(double, int32_t);
MOIETY_GATE(double, int64_t);
#undef MOIETY_GATE

}  // namespace moiety::graph
