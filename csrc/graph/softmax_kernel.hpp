// The kernels of edge softmax over Lanes<float> of the file that includes this one after its vector_*.hpp.
#pragma once

#include <limits>

#include "graph/heads_kernel.hpp"
#include "graph/softmax_kernels.hpp"

namespace moiety::graph {
namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

void softmax_rows(const SoftmaxTask& t, int64_t begin, int64_t end) {
    using L = Lanes<float>;
    const HeadLanes heads(t.heads);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t first = t.row_start[i] * t.heads, n = t.row_start[i + 1] * t.heads - first;
        if (n == 0) continue;
        auto most = L::broadcast(lowest), total = L::zero();
        for_vectors(t.scores + first, n, lowest, [&](auto v, int64_t, int64_t) { most = L::max(most, v); });
        most = heads.fold(most, L::max);
        float* result = t.result + first;
        for_vectors(t.scores + first, n, lowest, [&](auto v, int64_t at, int64_t count) {
            const auto raised = L::exp(L::subtract(v, most));
            total = L::add(total, raised);
            store_some(result + at, raised, count);
        });
        const auto share = L::divide(L::broadcast(1), heads.fold(total, L::add));
        for_vectors(result, n, 0,
                    [&](auto v, int64_t at, int64_t count) { store_some(result + at, L::multiply(v, share), count); });
    }
}

void softmax_backward_rows(const SoftmaxTask& t, int64_t begin, int64_t end) {
    using L = Lanes<float>;
    const HeadLanes heads(t.heads);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t first = t.row_start[i] * t.heads, n = t.row_start[i + 1] * t.heads - first;
        const auto gradient = [&](int64_t at, int64_t count) {
            const float* p = t.dalpha + first + at;
            return count == L::lanes ? L::load(p) : L::load_partial(p, count);
        };
        auto total = L::zero();
        for_vectors(t.scores + first, n, 0, [&](auto alpha, int64_t at, int64_t count) {
            total = L::multiply_add(alpha, gradient(at, count), total);
        });
        total = heads.fold(total, L::add);
        for_vectors(t.scores + first, n, 0, [&](auto alpha, int64_t at, int64_t count) {
            store_some(t.result + first + at, L::multiply(alpha, L::subtract(gradient(at, count), total)), count);
        });
    }
}

constexpr SoftmaxKernels softmax_table{Lanes<float>::lanes, softmax_rows, softmax_backward_rows};

}  // namespace
}  // namespace moiety::graph
