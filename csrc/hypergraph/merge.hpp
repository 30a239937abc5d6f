// Rows of a symmetric sparse matrix S A S, S diagonal, whose entries come in any order and more than once (matrix.hpp).
//
// Some rows are listed first, every entry as it comes, in a space that stays in the nearest cache; then the entries of
// each row that have the same column are added up and scaled on their way to where the row belongs. Neither branches on
// what no processor foresees: listing does not ask whether a column was met before, and a short row is added up as one
// vector.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/parallel.hpp"
#include "core/scratch.hpp"
#include "graph/schedule.hpp"
#include "hypergraph/hypergraph.hpp"

namespace moiety::hypergraph {

// Entries of consecutive rows as they come: column k, weight k > 0. May be written `list_slack` entries behind its end.
template <class T>
struct List {
    int32_t* column;
    T* value;
};
constexpr int64_t list_slack = 8;

// What an entry needs of its column, on one cache line.
template <class T>
struct Slot {
    T sum;    // of the row at hand, else 0
    T scale;  // of S
};

template <class T>
struct RowKernels {
    // Lists rows of A + I with mediators, from row `begin` on until `end` or until there are `enough` entries, and
    // returns the row that comes next: the row's own column first, then of every hyperedge its nodes but the row's own
    // if that is an end, else both ends. row_end[v + 1]: behind the list of row v.
    int64_t (*list)(const Hypergraph& h, const Star<T>* star, int64_t begin, int64_t end, int64_t enough,
                    int64_t* row_end, List<T> list);
    // Adds up rows [begin, end), whose lists lie at [from, ...) as row_end says, from position `to` of column and value
    // on. row_end[v + 1] becomes the end of row v there; returns the last one. The list is used up.
    int64_t (*add_up)(Slot<T>* slot, int64_t begin, int64_t end, List<T> list, int64_t from, int64_t to,
                      int64_t* row_end, int32_t* column, T* value);
};

template <class T>
const RowKernels<T>& row_kernels();  // of the instruction set in use
template <class T>
const RowKernels<T>& rows_avx512();

namespace {

// What a hyperedge adds to a row: `weight` in each of `count` columns but the row's own, and `self` in that.
template <class T>
struct Part {
    const int32_t* column;
    int64_t count;
    T weight, self;
};

// No branch on whether the row's node is an end: that is as good as drawn.
template <class T>
inline Part<T> part_of(const Star<T>& s, int64_t row, const int32_t* members) {
    const bool is_end = (s.end[0] == row) | (s.end[1] == row);
    // A mediator meets both ends, an end everybody.
    const uintptr_t choice = -static_cast<uintptr_t>(is_end);
    const auto ends = reinterpret_cast<uintptr_t>(s.end), all = reinterpret_cast<uintptr_t>(members + s.begin);
    Part<T> part{reinterpret_cast<const int32_t*>(ends ^ (choice & (ends ^ all))),
                 2 + (static_cast<int64_t>(choice) & (s.size - 2)), s.weight, T{0}};
    if (s.loop()) [[unlikely]] {  // its node meets everybody twice and itself by the edge from end to end
        part.count = s.weight == T{0} ? 0 : is_end ? part.count : 1;
        part.weight = 2 * s.weight;
        part.self = is_end ? part.weight : T{0};
    }
    return part;
}

// How far ahead of the incidence at hand its hyperedge is fetched.
constexpr int64_t stars_ahead = 24, members_ahead = 12;

// entries(part, v, at) writes what a part adds to row v from `at` on and returns the end.
template <class T, class Entries>
inline int64_t list_rows(const Hypergraph& h, const Star<T>* star, int64_t begin, int64_t end, int64_t enough,
                         int64_t* row_end, List<T> list, const Entries& entries) {
    const int64_t* const holder_start = h.holders.row_start;
    const int32_t *const holder = h.holders.column, *const members = h.members.column;
    const int64_t last = h.holders.edges() - 1;
    int64_t v = begin, k = holder_start[begin], at = 0;
    for (; v < end && at < enough; ++v) {
        const int64_t own = at++, holders_end = holder_start[v + 1];
        list.column[own] = static_cast<int32_t>(v);
        list.value[own] = 1;
        for (; k < holders_end; ++k) {
            __builtin_prefetch(star + holder[std::min(k + stars_ahead, last)]);
            __builtin_prefetch(members + star[holder[std::min(k + members_ahead, last)]].begin);
            const Part<T> part = part_of(star[holder[k]], v, members);
            if (part.self != T{0}) [[unlikely]]
                list.value[own] += part.self;
            at = entries(part, v, at);
        }
        row_end[v + 1] = at;
    }
    return v;
}

// Adds up row v, listed at [from, end), from `to` on, and returns its end. Writes nothing behind it.
template <class T>
inline int64_t add_up_row(Slot<T>* slot, int64_t v, List<T> list, int64_t from, int64_t end, int64_t to,
                          int32_t* column, T* value) {
    int64_t kept = from;
    // No branch: every column is appended and stays if it was new.
    for (int64_t k = from; k < end; ++k) {
        const int32_t u = list.column[k];
        const T before = slot[u].sum;
        list.column[kept] = u;
        kept += std::bit_cast<Bits<T>>(before) == 0;
        slot[u].sum = before + list.value[k];
    }
    // In an order that makes entries (u, v) and (v, u) the same bits.
    const T scale = slot[v].scale;
    for (int64_t k = from; k < kept; ++k, ++to) {
        Slot<T>& s = slot[list.column[k]];
        column[to] = list.column[k];
        value[to] = s.sum * (scale * s.scale);
        s.sum = 0;
    }
    return to;
}

}  // namespace

// The sum of part(begin, end) over ranges that cover [0, count).
template <class Part>
int64_t sum_of_parts(int64_t count, int threads, const Part& part) {
    std::atomic<int64_t> sum{0};
    parallel_for(count, int64_t{1} << 15, threads, [&](int64_t begin, int64_t end) { sum += part(begin, end); });
    return sum;
}

// Rows [begin, end) that lie listed from `from` on.
template <class T>
struct Listed {
    List<T> list;
    int64_t from, end;
};

// Adds up all rows. most(begin, end): how many entries rows [begin, end) have at most before. lists(end, before) makes
// something that is asked for the rows of a range, which `before` such entries precede, some at a time: called with a
// row it returns `Listed` from there on, to `end` at most, and sets row_start[v + 1] to where the list of v ends. Every
// thread appends its rows where no other's can reach; then the gaps between threads are closed. Returns the number of
// entries.
template <class T, class Most, class Lists>
int64_t merge_rows(const int64_t* holder_start, int64_t rows, const T* scale, int64_t* row_start, int32_t* column,
                   T* value, int threads, const Most& most, const Lists& lists) {
    constexpr int64_t near_bytes = int64_t{1} << 20;
    constexpr int64_t work_a_range = int64_t{1} << 14;
    if (threads <= 0) threads = default_threads();
    const int64_t work = holder_start[rows] + rows;
    const int64_t ranges = std::clamp<int64_t>(work / work_a_range, 1, threads);
    const auto first_row = [&](int64_t r) {
        return r == ranges ? rows : graph::row_behind(holder_start, rows, work / ranges * r);
    };
    std::vector<int64_t> begin(static_cast<size_t>(ranges)), end(static_cast<size_t>(ranges));
    const auto at = [](int64_t r) { return static_cast<size_t>(r); };
    for (int64_t r = 1; r < ranges; ++r) begin[at(r)] = begin[at(r - 1)] + most(first_row(r - 1), first_row(r));
    row_start[0] = 0;
    const RowKernels<T>& kernels = row_kernels<T>();
    const bool far = rows * static_cast<int64_t>(sizeof(Slot<T>)) > near_bytes;
    parallel_for(ranges, 1, threads, [&](int64_t r, int64_t last) {
        for (; r < last; ++r) {
            Scratch<Slot<T>> slots(rows);
            Slot<T>* const slot = slots.data();
            for (int64_t v = 0; v < rows; ++v) slot[v] = {T{0}, scale[v]};
            int64_t to = begin[at(r)], v = first_row(r);
            auto next = lists(first_row(r + 1), to);
            while (v < first_row(r + 1)) {
                const Listed<T> some = next(v);
                if (far)
                    for (int64_t k = some.from; k < row_start[some.end]; ++k)
                        __builtin_prefetch(slot + some.list.column[k], 1, 2);
                to = kernels.add_up(slot, v, some.end, some.list, some.from, to, row_start, column, value);
                v = some.end;
            }
            end[at(r)] = to;
        }
    });
    if (ranges == 1) return row_start[rows];
    // Three tasks, each of which goes through the ranges: a range moves onto the one before it has left.
    parallel_for(3, 1, threads, [&](int64_t task, int64_t last) {
        for (; task < last; ++task) {
            int64_t entries = end[0];
            for (int64_t r = 1; r < ranges; ++r) {
                const int64_t from = begin[at(r)], count = end[at(r)] - from;
                const auto size = static_cast<size_t>(count);
                if (task == 0) std::memmove(column + entries, column + from, size * sizeof(int32_t));
                if (task == 1) std::memmove(value + entries, value + from, size * sizeof(T));
                if (task == 2)
                    for (int64_t v = first_row(r); v < first_row(r + 1); ++v) row_start[v + 1] += entries - from;
                entries += count;
            }
        }
    });
    return row_start[rows];
}

}  // namespace moiety::hypergraph
