// How rows of a graph are dealt to threads.
//
// A row belongs to one thread, whatever the number of threads, so results do not depend on it. Rows differ in length
// by orders of magnitude, hence chunks of about equally many edges, not rows, taken one at a time: a thread that met a
// hub simply takes fewer of them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "core/parallel.hpp"

namespace moiety::graph {

// The first row at or behind which `target` edges and rows (each counts as one) have passed.
inline int64_t row_behind(const int64_t* row_start, int64_t rows, int64_t target) {
    int64_t low = 0, high = rows;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (row_start[middle] + middle < target)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// body(begin, end) over disjoint ranges of rows that cover all; `work` is what one edge costs, in elements.
template <class Body>
void for_rows(const int64_t* row_start, int64_t rows, int64_t work, int threads, const Body& body) {
    if (rows == 0) return;
    constexpr int64_t chunk_elements = int64_t{1} << 18;  // pays for waking a thread
    const int64_t units = row_start[rows] + rows;
    const int64_t affordable = std::max<int64_t>(1, units * std::max<int64_t>(work, 1) / chunk_elements);
    if (threads <= 0) threads = default_threads();
    if (threads == 1 || affordable == 1) return body(int64_t{0}, rows);
    const int64_t workers = std::min<int64_t>(threads, affordable);
    const int64_t chunks = std::min<int64_t>(affordable, 32 * workers);
    std::atomic<int64_t> next{0};
    parallel_for(workers, 1, threads, [&](int64_t first, int64_t last) {
        for (int64_t w = first; w < last; ++w)
            for (int64_t c; (c = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
                // Products of 64-bit counts: units * chunks stays far below 2^63.
                const int64_t begin = row_behind(row_start, rows, units * c / chunks);
                const int64_t end = c + 1 == chunks ? rows : row_behind(row_start, rows, units * (c + 1) / chunks);
                if (begin < end) body(begin, end);
            }
    });
}

}  // namespace moiety::graph
