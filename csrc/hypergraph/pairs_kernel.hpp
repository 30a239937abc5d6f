// The kernels behind pairs.cpp. Plain C++, compiled once an instruction set without contraction of a * b + c, so that
// every compilation computes the same numbers; everything that is compiled more than once has internal linkage.
#pragma once

#include <cstdint>

#include "graph/csr.hpp"

namespace moiety::hypergraph {

using graph::Csr;

template <class T>
struct PairsKernels {
    // projection[v] = <signal_v, direction> for rows [begin, end).
    void (*project)(const T* signal, int64_t width, const double* direction, double* projection, int64_t begin,
                    int64_t end);
    // The members at the first of the largest and of the smallest places of hyperedges [begin, end).
    void (*extremes)(const Csr<int32_t>& members, const double* place, int64_t begin, int64_t end, int32_t* first,
                     int32_t* second);
    // at_end[place[k]] = 1 of the incidences k that are ends of the pairs of hyperedges [begin, end). Returns the first
    // hyperedge that does not hold both nodes of its pair, or `end`.
    int64_t (*mark)(const Csr<int32_t>& members, const int64_t* place, const int32_t* first, const int32_t* second,
                    int64_t begin, int64_t end, uint8_t* at_end);
    // ||a - b||^2.
    double (*squared_distance)(const T* a, const T* b, int64_t width);
};

template <class T>
const PairsKernels<T>& pairs_avx2();
template <class T>
const PairsKernels<T>& pairs_avx512();

namespace {

constexpr int64_t partial_sums = 8;

inline double add_up(const double* s) { return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])); }

// The sum of term(f) over [0, width).
template <class F>
inline double sum_of(int64_t width, const F& term) {
    double sum[partial_sums] = {};
    int64_t f = 0;
    for (; f + partial_sums <= width; f += partial_sums)
        for (int64_t j = 0; j < partial_sums; ++j) sum[j] += term(f + j);
    for (int64_t j = 0; f + j < width; ++j) sum[j] += term(f + j);
    return add_up(sum);
}

template <class T>
void project(const T* signal, int64_t width, const double* direction, double* projection, int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) {
        const T* row = signal + v * width;
        projection[v] = sum_of(width, [&](int64_t f) { return static_cast<double>(row[f]) * direction[f]; });
    }
}

// How far ahead of the incidence at hand places are fetched.
constexpr int64_t places_ahead = 32;

inline void extremes_of(const Csr<int32_t>& members, const double* place, int64_t e, int32_t* first, int32_t* second) {
    const int64_t end = members.row_start[e + 1], last = members.edges() - places_ahead;
    int64_t k = members.row_start[e];
    int32_t most = members.column[k], least = most;
    double high = place[most], low = high;
    for (; k < end; ++k) {
        if (k < last) __builtin_prefetch(place + members.column[k + places_ahead], 0, 2);
        const int32_t node = members.column[k];
        const double value = place[node];
        most = value > high ? node : most;
        high = value > high ? value : high;
        least = value < low ? node : least;
        low = value < low ? value : low;
    }
    first[e] = most;
    second[e] = least;
}

inline void extremes(const Csr<int32_t>& members, const double* place, int64_t begin, int64_t end, int32_t* first,
                     int32_t* second) {
    for (int64_t e = begin; e < end; ++e) extremes_of(members, place, e, first, second);
}

inline bool mark_of(const Csr<int32_t>& members, const int64_t* place, int64_t e, int32_t first, int32_t second,
                    uint8_t* at_end) {
    const int64_t end = members.row_start[e + 1];
    int64_t at_first = -1, at_second = -1;
    for (int64_t k = members.row_start[e]; k < end; ++k) {
        const int32_t node = members.column[k];
        at_first = node == first ? k : at_first;
        at_second = node == second ? k : at_second;
    }
    if (at_first < 0 || at_second < 0) return false;
    at_end[place[at_first]] = at_end[place[at_second]] = 1;
    return true;
}

inline int64_t mark(const Csr<int32_t>& members, const int64_t* place, const int32_t* first, const int32_t* second,
                    int64_t begin, int64_t end, uint8_t* at_end) {
    int64_t e = begin;
    while (e < end && mark_of(members, place, e, first[e], second[e], at_end)) ++e;
    return e;
}

template <class T>
double squared_distance(const T* a, const T* b, int64_t width) {
    return sum_of(width, [&](int64_t f) {
        const double d = static_cast<double>(a[f]) - static_cast<double>(b[f]);
        return d * d;
    });
}

template <class T>
constexpr PairsKernels<T> pairs_kernels = {project<T>, extremes, mark, squared_distance<T>};

}  // namespace
}  // namespace moiety::hypergraph
