// Rows of a symmetric sparse matrix S A S, S diagonal, whose entries come in any order and more than once (matrix.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/buffer.hpp"
#include "core/check.hpp"
#include "core/parallel.hpp"
#include "graph/schedule.hpp"

namespace moiety::hypergraph {

// What a hyperedge adds to a row: `count` columns, each of `weight`, but the row's own column of `self`.
template <class T>
struct Part {
    const int32_t* column;
    int32_t count;
    T weight, self;
};

// Appends entries to rows, one row at a time.
template <class T>
class RowMerger {
  public:
    // Of S, `columns` numbers; rows go to column and value from 0 on.
    RowMerger(int64_t columns, const T* scale, int32_t* column, T* value)
        : slot_(columns), column_(column), value_(value) {
        for (int64_t u = 0; u < columns; ++u) slot_[u] = {-1, scale[u]};
    }
    void start(int64_t row) {
        row_ = static_cast<int32_t>(row);
        first_ = end_;
        scale_ = slot_[row].scale;
    }
    // Adds weights times the scales of both sides, rounded in an order that makes entries (u, v) and (v, u) the same
    // bits. No branch: whether a column was met before is hard to foresee. What changes stays in registers, since for
    // all that a compiler knows writing columns might change it.
    void add(const Part<T>& part) {
        Slot* const slot = slot_.data();
        int32_t* const column = column_;
        T* const value = value_;
        const int32_t first = first_, row = row_;
        const T scale = scale_, weight[2] = {part.weight, part.self};
        int32_t end = end_;
        for (int32_t k = 0; k < part.count; ++k) {
            const int32_t u = part.column[k];
            const int32_t seen = slot[u].seen;
            const bool again = seen >= first;
            const int32_t at = again ? seen : end;
            value[at] = weight[u == row] * (scale * slot[u].scale) + kept(value[at], again);
            column[at] = u;
            slot[u].seen = at;
            end += !again;
        }
        end_ = end;
    }
    int64_t end() const { return end_; }

  private:
    // What an entry needs of its column, on one cache line.
    struct Slot {
        int32_t seen;  // where its last entry lies
        T scale;
    };
    // `value`, or 0 whatever it is.
    static T kept(T value, bool keep) {
        using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
        return std::bit_cast<T>(static_cast<Bits>(std::bit_cast<Bits>(value) & (Bits{0} - Bits{keep})));
    }

    Buffer<Slot> slot_;
    int32_t* column_;
    T* value_;
    int32_t row_ = 0, first_ = 0, end_ = 0;
    T scale_{};
};

// Row v is its own column with weight `loop`, if that is not 0, and part(k) for every hyperedge at positions k of
// [holder_start[v], holder_start[v + 1]). `most(begin, end)` is the most entries that rows may have. Every thread
// appends its rows where no other's can reach; then the gaps between threads are closed. Returns the number of entries.
template <class T, class Most, class MakePart>
int64_t merge_rows(const int64_t* holder_start, int64_t rows, T loop, const T* scale, int64_t* row_start,
                   int32_t* column, T* value, int threads, const Most& most, const MakePart& part) {
    constexpr int64_t work_a_range = int64_t{1} << 14;
    if (threads <= 0) threads = default_threads();
    const int64_t work = holder_start[rows] + rows;
    const int64_t ranges = std::clamp<int64_t>(work / work_a_range, 1, threads);
    const auto first_row = [&](int64_t r) {
        return r == ranges ? rows : graph::row_behind(holder_start, rows, work / ranges * r);
    };
    std::vector<int64_t> begin(static_cast<size_t>(ranges) + 1), count(static_cast<size_t>(ranges));
    const auto at = [](int64_t r) { return static_cast<size_t>(r); };
    parallel_for(ranges, 1, threads, [&](int64_t r, int64_t last) {
        for (; r < last; ++r) begin[at(r + 1)] = most(first_row(r), first_row(r + 1));
    });
    for (int64_t r = 0; r < ranges; ++r) {
        check(begin[at(r + 1)] <= std::numeric_limits<int32_t>::max(),
              "hypergraph: expected a matrix of fewer than 2^31 entries a thread, got up to ", begin[at(r + 1)]);
        begin[at(r + 1)] += begin[at(r)];
    }
    row_start[0] = 0;
    parallel_for(ranges, 1, threads, [&](int64_t r, int64_t last) {
        // Parts are made ahead of the rows, some hundred at a time, by a loop without surprises: where they come from
        // is all over memory, and a processor that must guess how long a part is does not get there early by itself.
        constexpr int64_t block = 256, ahead = 8;
        Part<T> parts[block];
        for (; r < last; ++r) {
            RowMerger<T> merger(rows, scale, column + begin[at(r)], value + begin[at(r)]);
            const int64_t end = first_row(r + 1);
            int64_t made = holder_start[first_row(r)], base = made;  // parts up to `made`, from `base` on in the block
            for (int64_t v = first_row(r); v < end; ++v) {
                const auto self = static_cast<int32_t>(v);
                merger.start(v);
                if (loop != T{0}) merger.add({&self, 1, T{0}, loop});
                for (int64_t k = holder_start[v]; k < holder_start[v + 1]; ++k) {
                    if (k == made) {
                        base = made;
                        made = std::min(base + block, holder_start[end]);
                        for (int64_t j = base; j < made; ++j) parts[j - base] = part(j);
                    }
                    __builtin_prefetch(parts[std::min(k + ahead, made - 1) - base].column);
                    merger.add(parts[k - base]);
                }
                row_start[v + 1] = merger.end();
            }
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
