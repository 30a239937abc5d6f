// The kernel of sddmm over Lanes<T> of the file that includes this one after its vector_*.hpp.
#pragma once

#include "graph/dot_kernel.hpp"
#include "graph/sddmm_kernels.hpp"

namespace moiety::graph {
namespace {

// Edges of a row that are taken together, head by head, while their sources stay in the first cache.
constexpr int64_t sddmm_block = 64;

template <class T, class I>
void sddmm_rows(const SddmmTask<T, I>& t, int64_t begin, int64_t end) {
    const int64_t width = t.heads * t.head_width, bytes = width * static_cast<int64_t>(sizeof(T));
    const int64_t ahead = std::max(prefetch_edges, prefetch_bytes / std::max<int64_t>(bytes, 1));
    const int64_t edges = t.a.edges();
    for (int64_t i = begin; i < end; ++i) {
        const T* own = t.x + i * width;
        for (int64_t e = t.a.row_start[i]; e < t.a.row_start[i + 1]; e += sddmm_block) {
            const int64_t count = std::min(sddmm_block, t.a.row_start[i + 1] - e);
            for (int64_t h = 0; h < t.heads; ++h) {
                const T* y = t.y + h * t.head_width;
                const auto from = [&](int64_t k) {
                    if (h == 0 && e + k + ahead < edges) prefetch_row(t.y + t.a.column[e + k + ahead] * width, bytes);
                    return y + t.a.column[e + k] * width;
                };
                dots<T>(own + h * t.head_width, from, count, t.head_width, t.result + e * t.heads + h, t.heads);
            }
        }
    }
}

}  // namespace
}  // namespace moiety::graph
