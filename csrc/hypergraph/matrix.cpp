#include "hypergraph/matrix.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "hypergraph/merge.hpp"

namespace moiety::hypergraph {
namespace {

// What a hyperedge adds to a row: `weight` in each of `count` columns, and `self` to the row's own.
template <class T>
struct Part {
    const int32_t* column;
    int32_t count;
    T weight, self;
};

// What the hyperedge of star s adds to row `row`; counts in `ends` how often the row's node is an end.
template <class T>
inline Part<T> part_of(const Star<T>& s, int64_t row, bool mediators, const int32_t* members, int64_t& ends) {
    const bool first = s.end[0] == row, second = s.end[1] == row, is_end = first || second;
    ends += first + second;
    // A mediator meets both ends, an end everybody, or the other one without mediators.
    Part<T> part{is_end ? members + s.begin : s.end, is_end ? s.size : 2, s.weight, T{0}};
    if (!mediators) part = {s.end + first, is_end, s.weight, T{0}};
    if (s.loop()) {  // its node meets everybody twice and itself by the edge from end to end
        part.count = !mediators ? 0 : is_end ? part.count : 1;
        part.weight = 2 * s.weight;
        part.self = is_end ? part.weight : T{0};
    }
    if (s.weight == T{0}) part.count = 0;
    return part;
}

// How far ahead of the incidence at hand its hyperedge is fetched, and then the hyperedge's nodes.
constexpr int64_t stars_ahead = 24, members_ahead = 12;

template <class T>
inline void fetch_ahead(const Star<T>* star, const int32_t* holder, const int32_t* members, int64_t k, int64_t last) {
    __builtin_prefetch(star + holder[std::min(k + stars_ahead, last)]);
    __builtin_prefetch(members + star[holder[std::min(k + members_ahead, last)]].begin);
}

// Parts of rows [begin, end) in order, made some hundred at a time ahead of the rows, so that what they need is on its
// way from memory when it is needed: how long a row is depends on all of its entries, and a processor that waits for
// them to know gets no further by itself.
template <class T>
class PartMaker {
  public:
    PartMaker(const Hypergraph& h, const Rule& rule, const Star<T>* star, int64_t begin, int64_t end)
        : h_(h),
          star_(star),
          mediators_(rule.mediators),
          row_(begin),
          made_(h.holders.row_start[begin]),
          base_(made_),
          end_(h.holders.row_start[end]) {}

    const Part<T>& part(int64_t k, const RowMerger<T>& merger) {
        if (k == made_) make(merger);
        return part_[k - base_];
    }
    int64_t ends() const { return ends_; }  // how often a row's node was an end

  private:
    static constexpr int64_t block = 128;

    void make(const RowMerger<T>& merger) {
        const int64_t *const row_start = h_.holders.row_start, last = end_ - 1;
        const int32_t *const holder = h_.holders.column, *const members = h_.members.column;
        const Star<T>* const star = star_;
        const bool mediators = mediators_;
        const int64_t base = made_, made = std::min(base + block, end_);
        int64_t ends = ends_, row = row_;
        for (int64_t k = base; k < made; ++k) {
            fetch_ahead(star, holder, members, k, last);
            while (k >= row_start[row + 1]) ++row;
            part_[k - base] = part_of(star[holder[k]], row, mediators, members, ends);
        }
        base_ = base, made_ = made, ends_ = ends, row_ = row;
        for (int64_t k = 0; k < made - base; ++k) merger.fetch(part_[k].column, part_[k].count);
    }

    const Hypergraph& h_;
    const Star<T>* star_;
    bool mediators_;
    int64_t row_, made_, base_, end_, ends_ = 0;
    Part<T> part_[block];
};

}  // namespace

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
    const Stars<T> stars = weigh<T>(h, rule, pairs, false, threads);
    const Star<T>* const all = stars.star.data();
    const int64_t* const holder_start = h.holders.row_start;
    advise_huge_pages(column, laplacian_capacity(h, rule) * static_cast<int64_t>(sizeof(int32_t)));
    advise_huge_pages(value, laplacian_capacity(h, rule) * static_cast<int64_t>(sizeof(T)));
    const auto most = [&](int64_t begin, int64_t end) {
        // A mediator meets two nodes, an end all, or one without mediators.
        int64_t entries = end - begin + (rule.mediators ? 2 * (holder_start[end] - holder_start[begin]) : 0);
        for (int64_t e = 0; e < h.hyperedges(); ++e)
            for (const int32_t v : all[e].end)
                if (v >= begin && v < end) entries += rule.mediators ? all[e].size - 2 : 1;
        return entries;
    };
    std::atomic<int64_t> ends{0};
    const auto fill = [&](RowMerger<T>& merger, int64_t begin, int64_t end) {
        PartMaker<T> maker(h, rule, all, begin, end);
        // In registers: for all that a compiler knows, writing entries changes what is captured.
        const Star<T>* const star = all;
        const int32_t *const holder = h.holders.column, *const members = h.members.column;
        const bool mediators = rule.mediators, far = merger.far();
        const int64_t last = h.members.edges() - 1;
        int64_t met = 0, k = holder_start[begin];
        for (int64_t v = begin; v < end; ++v) {
            const int64_t row_end = holder_start[v + 1];
            T own = 1;
            merger.start(v, own);
            if (far) {
                for (; k < row_end; ++k) {
                    const Part<T>& part = maker.part(k, merger);
                    own += part.self;
                    merger.add(part.column, part.count, part.weight);
                }
            } else {
                for (; k < row_end; ++k) {
                    fetch_ahead(star, holder, members, k, last);
                    const Part<T> part = part_of(star[holder[k]], v, mediators, members, met);
                    own += part.self;
                    merger.add(part.column, part.count, part.weight);
                }
            }
            merger.set_own(own);
            merger.finish();
            row_start[v + 1] = merger.end();
        }
        ends += met + maker.ends();
    };
    const int64_t entries =
        merge_rows(holder_start, h.nodes(), stars.scale.data(), row_start, column, value, threads, most, fill);
    if (ends != 2 * h.hyperedges())  // some pair is of nodes elsewhere: of which hyperedge?
        for (int64_t e = 0; e < h.hyperedges(); ++e) find_pair(h, e, pairs.first[e], pairs.second[e]);
    return entries;
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
    // A clique has no loops: every row begins with one and loses it in the end.
    const T loop = hgnn ? 0 : 1;
    const auto fill = [&](RowMerger<T>& merger, int64_t begin, int64_t end) {
        for (int64_t v = begin; v < end; ++v) {
            merger.start(v, loop);
            for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k) {
                const int64_t e = h.holders.column[k], size = h.size(e);
                const auto weight = static_cast<T>(hgnn ? own_weight(e) / static_cast<double>(size) : own_weight(e));
                if (weight != T{0}) merger.add(h.members.column + h.members.row_start[e], size, weight);
            }
            merger.finish();
            row_start[v + 1] = merger.end();
        }
    };
    const int64_t entries =
        merge_rows(h.holders.row_start, h.nodes(), scale.data(), row_start, column, value, threads, most, fill);
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
