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
    const int64_t width = t.heads * t.head_width, edges = t.a.edges();
    for (int64_t i = begin; i < end; ++i) {
        const T* own = t.x + i * width;
        for (int64_t e = t.a.row_start[i]; e < t.a.row_start[i + 1]; e += sddmm_block) {
            const int64_t count = std::min(sddmm_block, t.a.row_start[i + 1] - e);
            Rows<T> rows{t.y, width, Columns(t.a.column + e), edges - e};
            for (int64_t h = 0; h < t.heads; ++h) {
                dots<T>(own + h * t.head_width, rows, count, h * t.head_width, t.head_width, t.result + e * t.heads + h,
                        t.heads);
                rows.left = 0;  // the first head has fetched all
            }
        }
    }
}

}  // namespace
}  // namespace moiety::graph
