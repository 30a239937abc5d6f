#include "graph/sddmm.hpp"

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "graph/schedule.hpp"
#include "graph/sddmm_kernels.hpp"
#include "nn/float_value.hpp"

namespace moiety::graph {
namespace {

using nn::put;
using nn::value;

template <class T, class I>
void sddmm_rows_scalar(const SddmmTask<T, I>& t, int64_t begin, int64_t end) {
    const int64_t width = t.heads * t.head_width;
    for (int64_t i = begin; i < end; ++i)
        for (int64_t e = t.a.row_start[i]; e < t.a.row_start[i + 1]; ++e)
            for (int64_t h = 0; h < t.heads; ++h) {
                const T* x = t.x + i * width + h * t.head_width;
                const T* y = t.y + t.a.column[e] * width + h * t.head_width;
                Weight<T> sum = 0;
                for (int64_t f = 0; f < t.head_width; ++f) sum += value(x[f]) * value(y[f]);
                t.result[e * t.heads + h] = sum;
            }
}

template <class T, class I>
SddmmKernel<T, I> kernel() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return sddmm_avx512<T, I>();
    if (isa() == Isa::avx2) return sddmm_avx2<T, I>();
#endif
    return sddmm_rows_scalar<T, I>;
}

}  // namespace

template <class T, class I>
void sddmm(const Csr<I>& a, const T* x, const T* y, Weight<T>* result, int64_t heads, int64_t head_width, int threads) {
    check(heads >= 1 && head_width >= 0, "sddmm: expected heads >= 1 and features >= 0, got ", heads, " and ",
          head_width);
    const SddmmTask<T, I> task{a, x, y, result, heads, head_width};
    const SddmmKernel<T, I> rows = head_width == 0 ? sddmm_rows_scalar<T, I> : kernel<T, I>();
    for_rows(a.row_start, a.rows, heads * head_width, threads,
             [&](int64_t begin, int64_t end) { rows(task, begin, end); });
}

#define MOIETY_SDDMM(T)                                                                              \
    template void sddmm(const Csr<int32_t>&, const T*, const T*, Weight<T>*, int64_t, int64_t, int); \
    template void sddmm(const Csr<int64_t>&, const T*, const T*, Weight<T>*, int64_t, int64_t, int)

MOIETY_SDDMM(float);
MOIETY_SDDMM(double);
MOIETY_SDDMM(Bf16);
#undef MOIETY_SDDMM

}  // namespace moiety::graph
