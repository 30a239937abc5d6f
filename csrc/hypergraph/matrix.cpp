#include "hypergraph/matrix.hpp"

#include <algorithm>
#include <cmath>

#include "hypergraph/merge.hpp"

namespace moiety::hypergraph {
int64_t laplacian_capacity(const Hypergraph& h, const Rule& rule) {
    // Loops, and both directions of 2 |e| - 3 edges, or of one; an end also meets itself.
    return h.nodes() + (rule.mediators ? 4 * (h.members.edges() - h.hyperedges()) : 2 * h.hyperedges());
}

int64_t clique_capacity(const Hypergraph& h) {
    int64_t entries = h.nodes();
    for (int64_t e = 0; e < h.hyperedges(); ++e) entries += h.size(e) * h.size(e);
    return entries;
}

template <class T>
int64_t laplacian(const Hypergraph& h, const Rule& rule, const Pairs& pairs, int64_t* row_start, int32_t* column,
                  T* value, int threads) {
    const Stars<T> stars = make_stars<T>(h, rule, pairs, threads);
    const uint8_t* at_end = stars.at_end.data();
    const Star<T>* star = stars.star.data();
    const bool mediators = rule.mediators;
    const auto most = [&](int64_t begin, int64_t end) {
        int64_t entries = end - begin;
        for (int64_t k = h.holders.row_start[begin]; k < h.holders.row_start[end]; ++k) {
            const int64_t others = h.size(h.holders.column[k]) - 1;
            entries += mediators ? (at_end[k] != 0 ? others : 2) : at_end[k];
        }
        return entries;
    };
    // A mediator meets both ends; an end meets everybody, and without mediators the other end. Where s = i it is both:
    // it meets everybody twice, and itself by the edge from end to end.
    const auto part = [=](int64_t k) {
        const int64_t e = h.holders.column[k], begin = h.members.row_start[e],
                      size = h.members.row_start[e + 1] - begin;
        const Star<T>& s = star[e];
        const bool everybody = at_end[k] != 0 && mediators, adds = s.weight != T{0} && (mediators || at_end[k] != 0);
        const T weight = everybody && s.loop() ? 2 * s.weight : s.weight;
        return Part<T>{everybody ? h.members.column + begin : s.end,
                       adds ? (everybody ? static_cast<int32_t>(size) : 2) : 0, weight,
                       at_end[k] != 0 && s.loop() ? weight : T{0}};
    };
    return merge_rows(h.holders.row_start, h.nodes(), T{1}, stars.scale.data(), row_start, column, value, threads, most,
                      part);
}

template <class T>
int64_t clique(const Hypergraph& h, bool hgnn, int64_t* row_start, int32_t* column, T* value, int threads) {
    const auto own_weight = [&](int64_t e) { return h.weight == nullptr ? 1 : h.weight[e]; };
    Buffer<T> scale(h.nodes());
    for (int64_t v = 0; v < h.nodes(); ++v) {
        double degree = 0;
        for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k)
            degree += own_weight(h.holders.column[k]);
        scale[v] = static_cast<T>(!hgnn ? 1 : degree > 0 ? 1 / std::sqrt(degree) : 0);
    }
    const auto most = [&](int64_t begin, int64_t end) {
        int64_t entries = hgnn ? 0 : end - begin;
        for (int64_t k = h.holders.row_start[begin]; k < h.holders.row_start[end]; ++k)
            entries += h.size(h.holders.column[k]);
        return entries;
    };
    const auto part = [&](int64_t k) {
        const int64_t e = h.holders.column[k], size = h.size(e);
        const auto weight = static_cast<T>(hgnn ? own_weight(e) / static_cast<double>(size) : own_weight(e));
        return Part<T>{h.members.column + h.members.row_start[e], static_cast<int32_t>(size), weight,
                       hgnn ? weight : T{0}};
    };
    // A clique has no loops: every row begins with one, to which nothing adds, and loses it in the end.
    const int64_t entries = merge_rows(h.holders.row_start, h.nodes(), hgnn ? T{0} : T{1}, scale.data(), row_start,
                                       column, value, threads, most, part);
    if (hgnn) return entries;
    for (int64_t v = 0; v < h.nodes(); ++v) {
        const int64_t begin = row_start[v] + v, end = row_start[v + 1];  // v loops are gone before this row
        std::copy(column + begin + 1, column + end, column + begin - v);
        std::copy(value + begin + 1, value + end, value + begin - v);
        row_start[v + 1] -= v + 1;
    }
    return entries - h.nodes();
}

#define MOIETY_MATRIX(T)                                                                                   \
    template int64_t laplacian(const Hypergraph&, const Rule&, const Pairs&, int64_t*, int32_t*, T*, int); \
    template int64_t clique(const Hypergraph&, bool, int64_t*, int32_t*, T*, int)
MOIETY_MATRIX(float);
MOIETY_MATRIX(double);
#undef MOIETY_MATRIX

}  // namespace moiety::hypergraph
