// Rows of a sparse matrix whose entries come in any order and more than once (matrix.hpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/buffer.hpp"
#include "core/parallel.hpp"
#include "graph/schedule.hpp"

namespace moiety::hypergraph {

// Appends entries to rows, one row at a time.
template <class T>
class RowMerger {
  public:
    // Rows go to column and value from `position` on.
    RowMerger(int64_t columns, int32_t* column, T* value, int64_t position)
        : seen_(columns), column_(column), value_(value), row_(position), end_(position) {
        std::fill(seen_.data(), seen_.data() + columns, int64_t{-1});
    }
    void start() { row_ = end_; }
    void add(int32_t column, T value) {
        int64_t& at = seen_[column];
        if (at >= row_) {
            value_[at] += value;
        } else {
            at = end_++;
            column_[at] = column;
            value_[at] = value;
        }
    }
    // Entries of the row at hand become f(column, value).
    template <class F>
    void map(const F& f) {
        for (int64_t k = row_; k < end_; ++k) value_[k] = f(column_[k], value_[k]);
    }
    int64_t end() const { return end_; }

  private:
    Buffer<int64_t> seen_;
    int32_t* column_;
    T* value_;
    int64_t row_, end_;
};

// make_row(merger, v) for every row v. Rows of a thread lie one behind the other from where `most` (rows + 1), the
// running sum of how many entries rows may have, says that they do at the most; then the gaps between threads are
// closed. Returns the number of entries.
template <class T, class F>
int64_t merge_rows(int64_t rows, int64_t columns, const int64_t* most, int64_t* row_start, int32_t* column, T* value,
                   int threads, const F& make_row) {
    constexpr int64_t entries_a_range = int64_t{1} << 16;
    if (threads <= 0) threads = default_threads();
    const int64_t ranges = std::clamp<int64_t>(most[rows] / entries_a_range, 1, threads);
    std::vector<int64_t> first_row(static_cast<size_t>(ranges) + 1, rows), end(static_cast<size_t>(ranges));
    for (int64_t r = 0; r < ranges; ++r)
        first_row[static_cast<size_t>(r)] = std::lower_bound(most, most + rows, most[rows] / ranges * r) - most;
    parallel_for(ranges, 1, threads, [&](int64_t begin, int64_t last) {
        for (int64_t r = begin; r < last; ++r) {
            const auto at = static_cast<size_t>(r);
            RowMerger<T> merger(columns, column, value, most[first_row[at]]);
            for (int64_t v = first_row[at]; v < first_row[at + 1]; ++v) {
                merger.start();
                make_row(merger, v);
                row_start[v + 1] = merger.end();
            }
            end[at] = merger.end();
        }
    });
    row_start[0] = 0;
    int64_t entries = end[0];
    for (int64_t r = 1; r < ranges; ++r) {
        const auto at = static_cast<size_t>(r);
        const int64_t begin = most[first_row[at]], count = end[at] - begin;
        std::memmove(column + entries, column + begin, static_cast<size_t>(count) * sizeof(int32_t));
        std::memmove(value + entries, value + begin, static_cast<size_t>(count) * sizeof(T));
        for (int64_t v = first_row[at]; v < first_row[at + 1]; ++v) row_start[v + 1] += entries - begin;
        entries += count;
    }
    return entries;
}

}  // namespace moiety::hypergraph
