// Balanced reductions over counted numbers, for the counted_*.cpp alone.
#pragma once

#include <cmath>

#include "core/check.hpp"
#include "graph/counted.hpp"

namespace moiety::graph {
namespace {

using Numbers = std::vector<Number>;

inline size_t at(int64_t i) { return static_cast<size_t>(i); }

// Neighbours are combined pairwise, level by level, until one is left. `terms` must not be empty and is used up.
template <class Combine>
inline Number tree(Numbers& terms, const Combine& combine) {
    for (size_t n = terms.size(); n > 1; n = (n + 1) / 2)
        for (size_t i = 0; i < n; i += 2) terms[i / 2] = i + 1 < n ? combine(terms[i], terms[i + 1]) : terms[i];
    return terms[0];
}

inline Number sum(Counter& c, Numbers& terms) {
    return tree(terms, [&](Number a, Number b) { return c.add(a, b); });
}

inline Number largest(Counter& c, Numbers& terms) {
    return tree(terms, [&](Number a, Number b) { return c.maximum(a, b); });
}

inline Number reduced(Counter& c, Numbers& terms, Reduce reduce) {
    const auto count = static_cast<double>(terms.size());
    switch (reduce) {
        case Reduce::max: return largest(c, terms);
        case Reduce::min: return tree(terms, [&](Number a, Number b) { return c.minimum(a, b); });
        case Reduce::mean: return c.divide(sum(c, terms), {count, 0});
        case Reduce::sum: break;
    }
    return sum(c, terms);
}

inline Number exponential(Counter& c, Number x) { return c.special(std::exp(x.value), x); }

inline void check_size(std::span<const double> values, int64_t expected, const char* what) {
    check(static_cast<int64_t>(values.size()) == expected, what, ": expected ", expected, " elements, got ",
          values.size());
}

inline int64_t edges_of(const Csr<int64_t>& p) { return p.row_start[p.rows]; }

}  // namespace
}  // namespace moiety::graph
