#include "hypergraph/hypergraph.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.hpp"
#include "core/parallel.hpp"
#include "graph/schedule.hpp"

namespace moiety::hypergraph {
namespace {

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

// Marks the places of both ends.
void mark_ends(const Hypergraph& h, int64_t e, int32_t first, int32_t second, uint8_t* at_end) {
    const int32_t* column = h.members.column;
    const int64_t end = h.members.row_start[e + 1];
    int64_t first_at = -1, second_at = -1;
    for (int64_t k = h.members.row_start[e]; k < end; ++k) {
        const int32_t node = column[k];
        first_at = node == first ? k : first_at;
        second_at = node == second ? k : second_at;
    }
    check(first_at >= 0 && second_at >= 0, "hypergraph: expected pairs of nodes of their hyperedges, got nodes ", first,
          " and ", second, " of hyperedge ", e, ", which does not hold both");
    at_end[h.place[first_at]] = at_end[h.place[second_at]] = 1;
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
            const int64_t at = h.place[k];
            check(at >= h.holders.row_start[node] && at < h.holders.row_start[node + 1] && h.holders.column[at] == e,
                  "hypergraph: expected the places of incidences among those by node, got ", at, " of incidence ", k);
        }
    }
}

template <class T>
Stars<T> make_stars(const Hypergraph& h, const Rule& rule, const Pairs& pairs, int threads) {
    Stars<T> stars{rule, Buffer<Star<T>>(h.hyperedges()), Buffer<uint8_t>(h.members.edges()), Buffer<T>(h.nodes()),
                   Buffer<T>(h.nodes())};
    std::fill(stars.at_end.data(), stars.at_end.data() + stars.at_end.size(), uint8_t{0});
    graph::for_rows(h.members.row_start, h.hyperedges(), 4, threads, [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e) {
            const int32_t first = pairs.first[e], second = pairs.second[e];
            mark_ends(h, e, first, second, stars.at_end.data());
            const double weight = edge_weight(h, rule, e, first == second);
            const double reach = edge_reach(rule, weight, h.size(e), first == second);
            stars.star[e] = {{first, second}, static_cast<T>(weight), static_cast<T>(reach)};
        }
    });
    const Star<T>* star = stars.star.data();
    const uint8_t* at_end = stars.at_end.data();
    const int32_t* hyperedge = h.holders.column;
    const T between = rule.mediators ? 2 : 0;  // edges of a mediator
    graph::for_rows(h.holders.row_start, h.nodes(), 4, threads,
                    [&, star, at_end, hyperedge, between](int64_t begin, int64_t end) {
                        for (int64_t v = begin; v < end; ++v) {
                            double degree = 1;
                            T own = 1;
                            const int64_t last = h.holders.row_start[v + 1];
                            for (int64_t k = h.holders.row_start[v]; k < last; ++k) {
                                // No branch: who is an end is hard to foresee.
                                const Star<T>& s = star[hyperedge[k]];
                                const T is_end = static_cast<T>(at_end[k]), as_mediator = between * s.weight;
                                degree += static_cast<double>(as_mediator + is_end * (s.reach - as_mediator));
                                own -= is_end * static_cast<T>(!s.loop()) * s.weight;
                            }
                            stars.scale[v] = 1 / std::sqrt(static_cast<T>(degree));
                            stars.own[v] = own;
                        }
                    });
    return stars;
}

Stars<uint64_t> in_ring(const Hypergraph& h, Stars<double> stars, int fraction_bits, int threads) {
    const auto fixed = [&](double value) {
        return static_cast<uint64_t>(std::llround(std::ldexp(value, fraction_bits)));
    };
    Stars<uint64_t> ring{stars.rule, Buffer<Star<uint64_t>>(h.hyperedges()), std::move(stars.at_end),
                         Buffer<uint64_t>(h.nodes()), Buffer<uint64_t>(h.nodes())};
    for (int64_t e = 0; e < h.hyperedges(); ++e) {
        const Star<double>& s = stars.star[e];
        ring.star[e] = {{s.end[0], s.end[1]}, fixed(s.weight), fixed(s.reach)};
    }
    parallel_for(h.nodes(), 1 << 14, threads, [&](int64_t begin, int64_t end) {
        for (int64_t v = begin; v < end; ++v) {
            ring.scale[v] = fixed(stars.scale[v]);
            ring.own[v] = fixed(1);  // from the rounded weights, which are those that messages carry
            for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k) {
                const Star<uint64_t>& s = ring.star[h.holders.column[k]];
                if (ring.at_end[k] != 0 && !s.loop()) ring.own[v] -= s.weight;
            }
        }
    });
    return ring;
}

template Stars<float> make_stars(const Hypergraph&, const Rule&, const Pairs&, int);
template Stars<double> make_stars(const Hypergraph&, const Rule&, const Pairs&, int);

}  // namespace moiety::hypergraph
