#include "graph/softmax.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "graph/schedule.hpp"
#include "graph/softmax_kernels.hpp"

namespace moiety::graph {
namespace {

// What an exponential costs beside a multiply-add, for the schedule.
constexpr int64_t exponential_work = 8;

template <class T>
void softmax_rows_scalar(const int64_t* row_start, int64_t heads, const T* scores, T* alpha, int64_t begin,
                         int64_t end) {
    for (int64_t i = begin; i < end; ++i)
        for (int64_t h = 0; h < heads; ++h) {
            const int64_t first = row_start[i] * heads + h, last = row_start[i + 1] * heads + h;
            if (first == last) continue;
            T most = scores[first], total = 0;
            for (int64_t k = first; k < last; k += heads) most = std::max(most, scores[k]);
            for (int64_t k = first; k < last; k += heads) total += alpha[k] = std::exp(scores[k] - most);
            for (int64_t k = first; k < last; k += heads) alpha[k] /= total;
        }
}

template <class T>
void softmax_backward_rows_scalar(const int64_t* row_start, int64_t heads, const T* alpha, const T* dalpha, T* dscores,
                                  int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
        for (int64_t h = 0; h < heads; ++h) {
            const int64_t first = row_start[i] * heads + h, last = row_start[i + 1] * heads + h;
            T total = 0;
            for (int64_t k = first; k < last; k += heads) total += alpha[k] * dalpha[k];
            for (int64_t k = first; k < last; k += heads) dscores[k] = alpha[k] * (dalpha[k] - total);
        }
}

const SoftmaxKernels* kernels(int64_t heads) {
    const SoftmaxKernels* found = nullptr;
#if defined(__x86_64__)
    if (isa() == Isa::avx512)
        found = &softmax_avx512();
    else if (isa() == Isa::avx2)
        found = &softmax_avx2();
#endif
    return found != nullptr && found->lanes % heads == 0 ? found : nullptr;
}

}  // namespace

template <class T>
void edge_softmax(const int64_t* row_start, int64_t rows, int64_t heads, const T* scores, T* alpha, int threads) {
    check(heads >= 1, "edge_softmax: expected heads >= 1, got ", heads);
    for_rows(row_start, rows, exponential_work * heads, threads, [&](int64_t begin, int64_t end) {
        if constexpr (std::is_same_v<T, float>)
            if (const SoftmaxKernels* k = kernels(heads))
                return k->forward({row_start, heads, scores, nullptr, alpha}, begin, end);
        softmax_rows_scalar(row_start, heads, scores, alpha, begin, end);
    });
}

template <class T>
void edge_softmax_backward(const int64_t* row_start, int64_t rows, int64_t heads, const T* alpha, const T* dalpha,
                           T* dscores, int threads) {
    check(heads >= 1, "edge_softmax_backward: expected heads >= 1, got ", heads);
    for_rows(row_start, rows, 4 * heads, threads, [&](int64_t begin, int64_t end) {
        if constexpr (std::is_same_v<T, float>)
            if (const SoftmaxKernels* k = kernels(heads))
                return k->backward({row_start, heads, alpha, dalpha, dscores}, begin, end);
        softmax_backward_rows_scalar(row_start, heads, alpha, dalpha, dscores, begin, end);
    });
}

#define MOIETY_SOFTMAX(T)                                                            \
    template void edge_softmax(const int64_t*, int64_t, int64_t, const T*, T*, int); \
    template void edge_softmax_backward(const int64_t*, int64_t, int64_t, const T*, const T*, T*, int)

MOIETY_SOFTMAX(float);
MOIETY_SOFTMAX(double);
#undef MOIETY_SOFTMAX

}  // namespace moiety::graph
