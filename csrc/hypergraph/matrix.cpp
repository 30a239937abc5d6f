#include "hypergraph/matrix.hpp"

#include <cmath>

#include "hypergraph/merge.hpp"

namespace moiety::hypergraph {
namespace {

// Running sums of count(v), rows + 1.
template <class F>
Buffer<int64_t> running_sum(int64_t rows, const F& count) {
    Buffer<int64_t> sum(rows + 1);
    sum[0] = 0;
    for (int64_t v = 0; v < rows; ++v) sum[v + 1] = sum[v] + count(v);
    return sum;
}

template <class F>
void for_hyperedges_of(const Hypergraph& h, int64_t v, const F& f) {
    for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k) f(int64_t{h.holders.column[k]});
}

template <class T, class F>
void add_members(RowMerger<T>& row, const Hypergraph& h, int64_t e, const F& value) {
    for (int64_t k = h.members.row_start[e]; k < h.members.row_start[e + 1]; ++k)
        row.add(h.members.column[k], value(h.members.column[k]));
}

// Entries of row v from hyperedge e, before adding up.
template <class T>
int64_t entries_of(const Hypergraph& h, const Rule& rule, const Star<T>& s, int64_t e, int64_t v) {
    if (s.weight == T{0}) return 0;
    if (!s.ends_at(v)) return rule.mediators ? 2 : 0;
    return rule.mediators ? h.size(e) : 1;
}

}  // namespace

int64_t laplacian_capacity(const Hypergraph& h, const Rule& rule) {
    // Both directions of 2 |e| - 3 edges, or of one, or what they become in `code` where s = i; and loops.
    const int64_t incidences = h.members.edges();
    return h.nodes() + (rule.mediators ? 4 * (incidences - h.hyperedges()) : 2 * h.hyperedges());
}

int64_t clique_capacity(const Hypergraph& h) {
    int64_t entries = 0;
    for (int64_t e = 0; e < h.hyperedges(); ++e) entries += h.size(e) * h.size(e);
    return entries;
}

template <class T>
int64_t laplacian(const Hypergraph& h, const Rule& rule, const Pairs& pairs, bool check_pairs, int64_t* row_start,
                  int32_t* column, T* value, int threads) {
    const Stars<T> stars = make_stars<T>(h, rule, pairs, check_pairs, 0, threads);
    const Buffer<int64_t> most = running_sum(h.nodes(), [&](int64_t v) {
        int64_t entries = 1;
        for_hyperedges_of(h, v, [&](int64_t e) { entries += entries_of(h, rule, stars.star[e], e, v); });
        return entries;
    });
    const T* scale = stars.scale.data();
    return merge_rows<T>(
        h.nodes(), h.nodes(), most.data(), row_start, column, value, threads, [&](RowMerger<T>& row, int64_t v) {
            row.add(static_cast<int32_t>(v), T{1});
            for_hyperedges_of(h, v, [&](int64_t e) {
                const Star<T>& s = stars.star[e];
                if (s.weight == T{0}) return;
                if (s.ends_at(v)) {
                    // An end meets everybody else once; where s = i it is both ends, so everybody and itself twice.
                    const T weight = s.loop() ? 2 * s.weight : s.weight;
                    if (!rule.mediators) return row.add(s.first == v ? s.second : s.first, weight);
                    add_members(row, h, e, [&](int32_t u) { return u == v && !s.loop() ? T{0} : weight; });
                } else if (rule.mediators) {
                    row.add(s.first, s.weight);
                    row.add(s.second, s.weight);
                }
            });
            const T own = scale[v];
            row.map([&](int32_t u, T sum) { return own * sum * scale[u]; });
        });
}

template <class T>
int64_t clique(const Hypergraph& h, bool hgnn, int64_t* row_start, int32_t* column, T* value, int threads) {
    const auto own_weight = [&](int64_t e) { return h.weight == nullptr ? 1 : h.weight[e]; };
    Buffer<T> scale(h.nodes());
    for (int64_t v = 0; v < h.nodes(); ++v) {
        double degree = 0;
        for_hyperedges_of(h, v, [&](int64_t e) { degree += own_weight(e); });
        scale[v] = static_cast<T>(degree > 0 ? 1 / std::sqrt(degree) : 0);
    }
    const Buffer<int64_t> most = running_sum(h.nodes(), [&](int64_t v) {
        int64_t entries = 0;
        for_hyperedges_of(h, v, [&](int64_t e) { entries += h.size(e); });
        return entries;
    });
    return merge_rows<T>(h.nodes(), h.nodes(), most.data(), row_start, column, value, threads,
                         [&](RowMerger<T>& row, int64_t v) {
                             for_hyperedges_of(h, v, [&](int64_t e) {
                                 const double own = own_weight(e);
                                 const T weight = static_cast<T>(hgnn ? own / static_cast<double>(h.size(e)) : own);
                                 for (int64_t k = h.members.row_start[e]; k < h.members.row_start[e + 1]; ++k)
                                     if (const int32_t u = h.members.column[k]; hgnn || u != v) row.add(u, weight);
                             });
                             if (hgnn) row.map([&](int32_t u, T sum) { return scale[v] * sum * scale[u]; });
                         });
}

#define MOIETY_MATRIX(T)                                                                                         \
    template int64_t laplacian(const Hypergraph&, const Rule&, const Pairs&, bool, int64_t*, int32_t*, T*, int); \
    template int64_t clique(const Hypergraph&, bool, int64_t*, int32_t*, T*, int)
MOIETY_MATRIX(float);
MOIETY_MATRIX(double);
#undef MOIETY_MATRIX

}  // namespace moiety::hypergraph
