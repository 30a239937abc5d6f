// Rows of a symmetric sparse matrix S A S, S diagonal, whose entries come in any order and more than once (matrix.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "core/parallel.hpp"
#include "core/scratch.hpp"
#include "graph/schedule.hpp"

namespace moiety::hypergraph {

// Appends rows, one at a time: start, add as often as there is something, finish.
template <class T>
class RowMerger {
  public:
    // Of S, `columns` numbers; rows go to column and value from 0 on.
    RowMerger(int64_t columns, const T* scale, int32_t* column, T* value)
        : slots_(columns),
          slot_(slots_.data()),
          column_(column),
          value_(value),
          far_(columns * static_cast<int64_t>(sizeof(Slot)) > near_bytes) {
        for (int64_t u = 0; u < columns; ++u) slot_[u] = {T{0}, scale[u]};
    }
    // A row begins with its own column, of weight `loop`, or with none if that is 0.
    void start(int64_t row, T loop) {
        row_ = row;
        first_ = end_;
        if (loop == T{0}) return;
        slot_[row].sum = loop;
        column_[end_++] = static_cast<int32_t>(row);
    }
    // Adds `weight` > 0 in every one of `count` columns. No branch: whether a column was met before is hard to foresee,
    // so every one is appended and stays if it was new. Writes one entry behind the last at most, but never more
    // entries than were added since the first row.
    void add(const int32_t* column, int64_t count, T weight) {
        Slot* const slot = slot_;
        int32_t* const out = column_;
        int64_t end = end_;
        for (int64_t k = 0; k < count; ++k) {
            const int32_t u = column[k];
            const T sum = slot[u].sum;
            out[end] = u;
            end += std::bit_cast<Bits>(sum) == 0;
            slot[u].sum = sum + weight;
        }
        end_ = end;
    }
    // What the row's own column holds, whatever was added there.
    void set_own(T weight) { slot_[row_].sum = weight; }
    // Scales the row, in an order that makes entries (u, v) and (v, u) the same bits.
    void finish() {
        Slot* const slot = slot_;
        const int32_t* const column = column_;
        T* const value = value_;
        const int64_t end = end_;
        const T scale = slot[row_].scale;
        for (int64_t k = first_; k < end; ++k) {
            Slot& s = slot[column[k]];
            value[k] = s.sum * (scale * s.scale);
            s.sum = 0;
        }
    }
    int64_t end() const { return end_; }

    // Whether columns lie beyond the nearer caches, so that `fetch` before `add` pays.
    bool far() const { return far_; }
    void fetch(const int32_t* column, int64_t count) const {
        for (int64_t k = 0; k < count; ++k) __builtin_prefetch(slot_ + column[k], 1);
    }

  private:
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    // What an entry needs of its column, on one cache line.
    struct Slot {
        T sum;  // of the row at hand, else 0
        T scale;
    };

    static constexpr int64_t near_bytes = int64_t{1} << 20;

    Scratch<Slot> slots_;
    Slot* slot_;
    int32_t* column_;
    T* value_;
    bool far_;
    int64_t row_ = 0, first_ = 0, end_ = 0;
};

// fill(merger, begin, end) appends rows [begin, end) and sets row_start[v + 1] behind row v. `most(begin, end)` is how
// many columns they are made of, met before or not. Every thread appends its rows where no other's can reach; then the
// gaps between threads are closed. Returns the number of entries.
template <class T, class Most, class Fill>
int64_t merge_rows(const int64_t* holder_start, int64_t rows, const T* scale, int64_t* row_start, int32_t* column,
                   T* value, int threads, const Most& most, const Fill& fill) {
    constexpr int64_t work_a_range = int64_t{1} << 14;
    if (threads <= 0) threads = default_threads();
    const int64_t work = holder_start[rows] + rows;
    const int64_t ranges = std::clamp<int64_t>(work / work_a_range, 1, threads);
    const auto first_row = [&](int64_t r) {
        return r == ranges ? rows : graph::row_behind(holder_start, rows, work / ranges * r);
    };
    std::vector<int64_t> begin(static_cast<size_t>(ranges)), count(static_cast<size_t>(ranges));
    const auto at = [](int64_t r) { return static_cast<size_t>(r); };
    parallel_for(ranges - 1, 1, threads, [&](int64_t r, int64_t last) {
        for (; r < last; ++r) begin[at(r + 1)] = most(first_row(r), first_row(r + 1));
    });
    for (int64_t r = 1; r < ranges; ++r) begin[at(r)] += begin[at(r - 1)];
    row_start[0] = 0;
    parallel_for(ranges, 1, threads, [&](int64_t r, int64_t last) {
        for (; r < last; ++r) {
            RowMerger<T> merger(rows, scale, column + begin[at(r)], value + begin[at(r)]);
            fill(merger, first_row(r), first_row(r + 1));
            count[at(r)] = merger.end();
        }
    });
    int64_t entries = count[0];
    for (int64_t r = 1; r < ranges; ++r) {
        const auto size = static_cast<size_t>(count[at(r)]);
        std::memmove(column + entries, column + begin[at(r)], size * sizeof(int32_t));
        std::memmove(value + entries, value + begin[at(r)], size * sizeof(T));
        for (int64_t v = first_row(r); v < first_row(r + 1); ++v) row_start[v + 1] += entries;
        entries += count[at(r)];
    }
    return entries;
}

}  // namespace moiety::hypergraph
