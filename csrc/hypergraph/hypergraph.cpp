#include "hypergraph/hypergraph.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/check.hpp"
#include "core/parallel.hpp"
#include "graph/schedule.hpp"

namespace moiety::hypergraph {
namespace {

constexpr int64_t hyperedges_a_range = 4096;

// The weight of the edges that hyperedge e becomes.
double edge_weight(const Hypergraph& h, const Rule& rule, int64_t e, bool loop) {
    const auto size = static_cast<double>(h.size(e));
    if (size < 2 || (loop && !rule.code)) return 0;
    const double own = h.weight == nullptr ? 1 : h.weight[e];
    if (rule.mediators) return own / (2 * size - 3);
    return rule.code ? own / size : own;
}

// The sum of the weights at an end, as D counts them.
double edge_reach(const Rule& rule, double weight, int64_t size, bool loop) {
    if (!rule.mediators) return loop ? 2 * weight : weight;
    return weight * static_cast<double>(loop ? 2 * size : size - 1);
}

template <class T>
T fixed(double value, int fraction_bits) {
    if constexpr (std::is_integral_v<T>)
        return static_cast<T>(std::llround(std::ldexp(value, fraction_bits)));
    else
        return static_cast<T>(value);
}

void check_members(const Hypergraph& h, int64_t e, int32_t first, int32_t second) {
    const int32_t* begin = h.members.column + h.members.row_start[e];
    const int32_t* end = h.members.column + h.members.row_start[e + 1];
    for (const int32_t node : {first, second})
        check(std::find(begin, end, node) != end, "hypergraph: expected pairs of nodes of their hyperedges, got node ",
              node, " at hyperedge ", e, ", which does not hold it");
}

}  // namespace

void validate(const Hypergraph& h, int64_t incidences) {
    graph::validate(h.members, incidences);
    graph::validate(h.holders, incidences);
    check(h.holders.rows == h.members.columns && h.holders.columns == h.members.rows,
          "hypergraph: expected both sides of one incidence matrix, got ", h.members.rows, " x ", h.members.columns,
          " and ", h.holders.rows, " x ", h.holders.columns);
    Buffer<int32_t> seen(h.nodes());  // in which hyperedge last
    std::fill(seen.data(), seen.data() + h.nodes(), -1);
    for (int64_t e = 0; e < h.hyperedges(); ++e) {
        check(h.size(e) > 0, "hypergraph: expected hyperedges of at least one node, got an empty one at ", e,
              "; leave it out");
        if (h.weight != nullptr)
            check(std::isfinite(h.weight[e]) && h.weight[e] > 0, "hypergraph: expected finite weights above 0, got ",
                  h.weight[e], " at hyperedge ", e);
        for (int64_t k = h.members.row_start[e]; k < h.members.row_start[e + 1]; ++k) {
            const int32_t node = h.members.column[k];
            check(seen[node] != e, "hypergraph: expected nodes of a hyperedge to differ, got node ", node,
                  " twice in hyperedge ", e);
            seen[node] = static_cast<int32_t>(e);
        }
    }
}

template <class T>
Stars<T> make_stars(const Hypergraph& h, const Rule& rule, const Pairs& pairs, bool check_pairs, int fraction_bits,
                    int threads) {
    // Degrees are floats whatever the result is made of.
    using Real = std::conditional_t<std::is_integral_v<T>, double, T>;
    Buffer<Star<Real>> star(h.hyperedges());
    parallel_for(h.hyperedges(), hyperedges_a_range, threads, [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e) {
            const int32_t first = pairs.first[e], second = pairs.second[e];
            if (check_pairs) check_members(h, e, first, second);
            const double weight = edge_weight(h, rule, e, first == second);
            const double reach = edge_reach(rule, weight, h.size(e), first == second);
            star[e] = {first, second, static_cast<Real>(weight), static_cast<Real>(reach)};
        }
    });
    Stars<T> result{{}, Buffer<T>(h.nodes()), fixed<T>(1, fraction_bits)};
    const Real between = rule.mediators ? 2 : 0;  // edges of a mediator
    graph::for_rows(h.holders.row_start, h.nodes(), 8, threads, [&](int64_t begin, int64_t end) {
        for (int64_t v = begin; v < end; ++v) {
            double degree = 1;
            for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k) {
                const Star<Real>& s = star[h.holders.column[k]];
                degree += static_cast<double>(s.ends_at(v) ? s.reach : between * s.weight);
            }
            result.scale[v] = fixed<T>(1 / std::sqrt(degree), fraction_bits);
        }
    });
    if constexpr (std::is_integral_v<T>) {
        result.star = Buffer<Star<T>>(h.hyperedges());
        for (int64_t e = 0; e < h.hyperedges(); ++e)
            result.star[e] = {star[e].first, star[e].second, fixed<T>(star[e].weight, fraction_bits), T{0}};
    } else {
        result.star = std::move(star);
    }
    return result;
}

template Stars<float> make_stars(const Hypergraph&, const Rule&, const Pairs&, bool, int, int);
template Stars<double> make_stars(const Hypergraph&, const Rule&, const Pairs&, bool, int, int);
template Stars<uint64_t> make_stars(const Hypergraph&, const Rule&, const Pairs&, bool, int, int);

}  // namespace moiety::hypergraph
