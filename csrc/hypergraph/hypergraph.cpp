#include "hypergraph/hypergraph.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "core/parallel.hpp"
#include "core/scratch.hpp"
#include "hypergraph/pairs.hpp"

namespace moiety::hypergraph {
namespace {

// The weight of the edges that a hyperedge of so many nodes and of weight `own` becomes.
double edge_weight(const Rule& rule, int64_t nodes, bool loop, double own) {
    const auto size = static_cast<double>(nodes);
    if (size < 2 || (loop && !rule.code)) return 0;
    if (rule.mediators) return own / (2 * size - 3);
    return rule.code ? own / size : own;
}

// The sum of the weights at an end, as D counts them.
double edge_reach(const Rule& rule, double weight, int64_t size, bool loop) {
    if (!rule.mediators) return loop ? 2 * weight : weight;
    return weight * static_cast<double>(loop ? 2 * size : size - 1);
}

// Whether e adds nothing although its nodes differ in number: mediated degrees count it.
bool silent(const Rule& rule, int64_t size, bool loop) { return rule.mediators && !rule.code && loop && size > 1; }

// How far ahead of the hyperedge at hand the sums of its ends are fetched.
constexpr int64_t ends_ahead = 24;

// What ends add to the degrees of nodes [begin, end), which hold what mediators add, and take off `own`, if there is
// one. Every hyperedge is looked at, in order: so sums do not depend on how nodes are dealt out. Ends elsewhere add
// zero here and there, by masks, since whose they are cannot be foreseen.
template <class T>
void add_ends(const Rule& rule, const Star<T>* star, int64_t hyperedges, int64_t begin, int64_t end, double* degree,
              T* own) {
    const auto count = static_cast<uint64_t>(end - begin);
    const uint64_t spread = count > 63 ? 63 : 0;
    const auto mask_of = [=](uint64_t place) { return -static_cast<uint64_t>(place < count); };
    degree += begin;
    if (own != nullptr) own += begin;
    for (int64_t e = 0; e < hyperedges; ++e) {
        for (const int32_t v : star[std::min(e + ends_ahead, hyperedges - 1)].end) {
            const auto place = static_cast<uint64_t>(v - begin);
            __builtin_prefetch(degree + (place & mask_of(place)), 1, 2);
            if (own != nullptr) __builtin_prefetch(own + (place & mask_of(place)), 1, 2);
        }
        const Star<T>& s = star[e];
        const bool loop = s.loop();
        const auto weight = static_cast<double>(s.weight);
        const double more = edge_reach(rule, weight, s.size, loop) - (rule.mediators ? 2 * weight : 0);
        const auto add = [&](int64_t v) {
            const auto place = static_cast<uint64_t>(v - begin);
            const uint64_t mask = mask_of(place), at = (place & mask) | (static_cast<uint64_t>(e) & spread & ~mask);
            degree[at] += std::bit_cast<double>(std::bit_cast<uint64_t>(more) & mask);
            const auto less = std::bit_cast<Bits<T>>(loop ? T{0} : s.weight) & static_cast<Bits<T>>(mask);
            if (own != nullptr) own[at] -= std::bit_cast<T>(less);
        };
        add(s.end[0]);
        if (!loop) add(s.end[1]);
    }
}

// The row sums of A + I before ends add theirs.
template <class T>
Scratch<double> start_degrees(const Hypergraph& h, const Rule& rule, const Star<T>* star) {
    Scratch<double> degree(h.nodes());
    std::fill(degree.data(), degree.data() + h.nodes(), 1.0);
    if (!rule.mediators) return degree;
    for (int64_t e = 0; e < h.hyperedges(); ++e) {
        const double weight =
            edge_weight(rule, h.size(e), star != nullptr && star[e].loop(), h.weight == nullptr ? 1 : h.weight[e]);
        for (int64_t k = h.members.row_start[e]; k < h.members.row_start[e + 1]; ++k)
            degree[h.members.column[k]] += 2 * weight;
    }
    return degree;
}

}  // namespace

std::shared_ptr<const Facts> facts_of(const Hypergraph& h) {
    return std::make_shared<const Facts>(Facts{start_degrees<float>(h, Rule{true, false}, nullptr), longest_row(h)});
}

int64_t longest_row(const Hypergraph& h) {
    if (h.facts != nullptr) return h.facts->longest;
    int64_t longest = 0;
    for (int64_t v = 0; v < h.nodes(); ++v) {
        int64_t met = 0;
        for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k)
            met += h.size(h.holders.column[k]);
        longest = std::max(longest, met);
    }
    return longest;
}

void validate(const Hypergraph& h, int64_t incidences) {
    graph::validate(h.members, incidences);
    graph::validate(h.holders, incidences);
    check(h.holders.rows == h.members.columns && h.holders.columns == h.members.rows,
          "hypergraph: expected both sides of one incidence matrix, got ", h.members.rows, " x ", h.members.columns,
          " and ", h.holders.rows, " x ", h.holders.columns);
    Scratch<int32_t> seen(h.nodes());  // in which hyperedge last
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
Stars<T> weigh(const Hypergraph& h, const Rule& rule, const Pairs& pairs, bool own, int threads) {
    Stars<T> stars{rule, Scratch<Star<T>>(h.hyperedges()), {}, Scratch<T>(h.nodes()), Scratch<T>(own ? h.nodes() : 0)};
    std::atomic<bool> any_silent{false};
    parallel_for(h.hyperedges(), 1 << 15, threads, [&](int64_t begin, int64_t end) {
        bool silent_here = false;
        // In registers: for all that a compiler knows, writing stars changes what is captured.
        const Rule how = rule;
        const int64_t* const start = h.members.row_start;
        const int32_t *const firsts = pairs.first, *const seconds = pairs.second;
        const double* const weight = h.weight;
        Star<T>* const star = stars.star.data();
        for (int64_t e = begin; e < end; ++e) {
            const int32_t first = firsts[e], second = seconds[e];
            const int64_t size = start[e + 1] - start[e];
            const bool loop = first == second;
            const auto each = static_cast<T>(edge_weight(how, size, loop, weight == nullptr ? 1 : weight[e]));
            star[e] = {{first, each == T{0} ? first : second}, start[e], static_cast<int32_t>(size), each};
            silent_here |= silent(how, size, loop);
        }
        if (silent_here) any_silent = true;
    });
    const double* const mediated =
        rule.mediators && h.facts != nullptr && !any_silent ? h.facts->mediated.data() : nullptr;
    Scratch<double> degree =
        mediated != nullptr ? Scratch<double>(h.nodes()) : start_degrees(h, rule, stars.star.data());
    if (threads <= 0) threads = default_threads();
    // A range a thread: each goes through all hyperedges.
    const int64_t range = std::max<int64_t>(1 << 16, (h.nodes() + threads - 1) / threads);
    parallel_for(h.nodes(), range, threads, [&](int64_t begin, int64_t end) {
        if (mediated != nullptr) std::copy(mediated + begin, mediated + end, degree.data() + begin);
        if (own) std::fill(stars.own.data() + begin, stars.own.data() + end, T{1});
        add_ends(rule, stars.star.data(), h.hyperedges(), begin, end, degree.data(), stars.own.data());
        const auto limit = static_cast<double>(std::numeric_limits<T>::max());
        bool fits = true;
        T* const scale = stars.scale.data();
        const double* const sum = degree.data();
        for (int64_t v = begin; v < end; ++v) {
            fits &= sum[v] <= limit;  // not of NaN: a weight that T does not hold
            scale[v] = 1 / std::sqrt(static_cast<T>(sum[v]));
        }
        check(fits, "hypergraph: expected weights whose sums at a node are numbers of the Laplacian's type, got ",
              "larger ones: scale them down or use float64");
    });
    return stars;
}

template <class T>
Stars<T> make_stars(const Hypergraph& h, const Rule& rule, const Pairs& pairs, int threads) {
    Scratch<uint8_t> ends(h.members.edges());
    uint8_t* const at_end = ends.data();
    parallel_for(ends.size(), 1 << 20, threads,
                 [&](int64_t begin, int64_t end) { std::fill(at_end + begin, at_end + end, uint8_t{0}); });
    mark_ends(h, pairs, at_end, threads);
    Stars<T> stars = weigh<T>(h, rule, pairs, true, threads);
    stars.at_end = std::move(ends);
    return stars;
}

Stars<uint64_t> in_ring(const Hypergraph& h, Stars<double> stars, int fraction_bits, int threads) {
    const auto fixed = [&](double value) {
        return static_cast<uint64_t>(std::llround(std::ldexp(value, fraction_bits)));
    };
    Stars<uint64_t> ring{stars.rule, Scratch<Star<uint64_t>>(h.hyperedges()), std::move(stars.at_end),
                         Scratch<uint64_t>(h.nodes()), Scratch<uint64_t>(h.nodes())};
    for (int64_t e = 0; e < h.hyperedges(); ++e) {
        const Star<double>& s = stars.star[e];
        ring.star[e] = {{s.end[0], s.end[1]}, s.begin, s.size, fixed(s.weight)};
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

template Stars<float> weigh(const Hypergraph&, const Rule&, const Pairs&, bool, int);
template Stars<double> weigh(const Hypergraph&, const Rule&, const Pairs&, bool, int);
template Stars<float> make_stars(const Hypergraph&, const Rule&, const Pairs&, int);
template Stars<double> make_stars(const Hypergraph&, const Rule&, const Pairs&, int);

}  // namespace moiety::hypergraph
