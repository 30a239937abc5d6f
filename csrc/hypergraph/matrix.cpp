#include "hypergraph/matrix.hpp"

#include <algorithm>
#include <cmath>

#include "core/cpu.hpp"
#include "hypergraph/merge.hpp"
#include "hypergraph/pairs.hpp"

namespace moiety::hypergraph {
namespace {

// Listed at a time: what lies in the nearest cache.
constexpr int64_t listed_entries = 2048, listed_rows = 512;

template <class T>
int64_t list_scalar(const Hypergraph& h, const Star<T>* star, int64_t begin, int64_t end, int64_t enough,
                    int64_t* row_end, List<T> list) {
    return list_rows(h, star, begin, end, enough, row_end, list, [&](const Part<T>& part, int64_t v, int64_t at) {
        for (int64_t k = 0; k < part.count; ++k) {
            list.column[at] = part.column[k];
            list.value[at] = part.weight;
            at += part.column[k] != v;
        }
        return at;
    });
}

template <class T>
int64_t add_up_scalar(Slot<T>* slot, int64_t begin, int64_t end, List<T> list, int64_t from, int64_t to,
                      int64_t* row_end, int32_t* column, T* value) {
    for (int64_t v = begin; v < end; ++v) {
        const int64_t behind = row_end[v + 1];
        to = row_end[v + 1] = add_up_row(slot, v, list, from, behind, to, column, value);
        from = behind;
    }
    return to;
}

template <class T>
const RowKernels<T>& kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return rows_avx512<T>();
#endif
    static constexpr RowKernels<T> scalar = {list_scalar<T>, add_up_scalar<T>};
    return scalar;
}

// A list and its space.
template <class T>
class Lists {
  public:
    explicit Lists(int64_t entries) : column_(entries + list_slack), value_(entries + list_slack) {}
    List<T> list() { return {column_.data(), value_.data()}; }

  private:
    Scratch<int32_t> column_;
    Scratch<T> value_;
};

// Lists all rows of A + I without mediators. row_start[v + 1]: behind the list of v.
template <class T>
void list_pairs(const Star<T>* star, int64_t hyperedges, int64_t nodes, int64_t* row_start, List<T> list) {
    int64_t* const next = row_start + 1;  // how long a list is, then where its next entry goes
    std::fill(next, next + nodes, 1);
    for (int64_t e = 0; e < hyperedges; ++e) {
        const Star<T>& s = star[e];
        next[s.end[0]] += s.weight != T{0};
        next[s.end[1]] += (s.weight != T{0}) & !s.loop();
    }
    row_start[0] = 0;
    for (int64_t v = 0, at = 0; v < nodes; ++v) {
        const int64_t count = next[v];
        list.column[at] = static_cast<int32_t>(v);
        list.value[at] = 1;
        next[v] = at + 1;
        at += count;
    }
    for (int64_t e = 0; e < hyperedges; ++e) {
        const Star<T>& s = star[e];
        if (s.weight == T{0}) continue;
        const auto join = [&](int32_t row, int32_t other, T weight) {
            const int64_t at = next[row]++;
            list.column[at] = other;
            list.value[at] = weight;
        };
        join(s.end[0], s.end[1], s.loop() ? 2 * s.weight : s.weight);
        if (!s.loop()) join(s.end[1], s.end[0], s.weight);
    }
}

}  // namespace

int64_t laplacian_capacity(const Hypergraph& h, const Rule& rule) {
    // Loops, and both directions of 2 |e| - 3 edges, or of one; an end also meets itself.
    return h.nodes() + (rule.mediators ? 4 * (h.members.edges() - h.hyperedges()) : 2 * h.hyperedges());
}

int64_t clique_capacity(const Hypergraph& h) {
    int64_t entries = 0;
    for (int64_t e = 0; e < h.hyperedges(); ++e) entries += h.size(e) * h.size(e);
    return entries;
}

template <>
const RowKernels<float>& row_kernels() {
    return kernels<float>();
}
template <>
const RowKernels<double>& row_kernels() {
    return kernels<double>();
}

template <class T>
int64_t laplacian(const Hypergraph& h, const Rule& rule, const Pairs& pairs, int64_t* row_start, int32_t* column,
                  T* value, int threads) {
    if (!pairs.known) mark_ends(h, pairs, Scratch<uint8_t>(h.members.edges()).data(), threads);
    const Stars<T> stars = weigh<T>(h, rule, pairs, false, threads);
    const Star<T>* const star = stars.star.data();
    const T* const scale = stars.scale.data();
    const int64_t* const holder_start = h.holders.row_start;
    const int64_t nodes = h.nodes(), hyperedges = h.hyperedges();
    advise_huge_pages(column, laplacian_capacity(h, rule) * static_cast<int64_t>(sizeof(int32_t)));
    advise_huge_pages(value, laplacian_capacity(h, rule) * static_cast<int64_t>(sizeof(T)));
    if (!rule.mediators) {
        Lists<T> space(nodes + 2 * hyperedges);
        list_pairs(star, hyperedges, nodes, row_start, space.list());
        const auto length = [&](int64_t begin, int64_t end) { return row_start[end] - row_start[begin]; };
        const auto lists = [&](int64_t end, int64_t before) {
            return [&, end, from = before](int64_t v) mutable -> Listed<T> {
                const int64_t begin = from, some = std::min(v + listed_rows, end);
                from = row_start[some];
                return {space.list(), begin, some};
            };
        };
        return merge_rows(holder_start, nodes, scale, row_start, column, value, threads, length, lists);
    }
    const auto most = [&](int64_t begin, int64_t end) {
        // A mediator meets two nodes, an end all.
        const auto more = [&](int64_t e, int64_t last) {
            int64_t entries = 0;
            for (; e < last; ++e)
                for (const int32_t v : star[e].end) entries += (v >= begin) & (v < end) ? star[e].size - 2 : 0;
            return entries;
        };
        return end - begin + 2 * (holder_start[end] - holder_start[begin]) + sum_of_parts(hyperedges, threads, more);
    };
    const auto lists = [&, longest = longest_row(h), list = row_kernels<T>().list](int64_t end, int64_t) {
        return [&, end, space = Lists<T>(listed_entries + longest)](int64_t v) mutable -> Listed<T> {
            return {space.list(), 0, list(h, star, v, end, listed_entries, row_start, space.list())};
        };
    };
    return merge_rows(holder_start, nodes, scale, row_start, column, value, threads, most, lists);
}

template <class T>
int64_t clique(const Hypergraph& h, bool hgnn, int64_t* row_start, int32_t* column, T* value, int threads) {
    const auto own_weight = [&](int64_t e) { return h.weight == nullptr ? 1 : h.weight[e]; };
    Scratch<T> scale(h.nodes());
    for (int64_t v = 0; v < h.nodes(); ++v) {
        double degree = 0;
        for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k)
            degree += own_weight(h.holders.column[k]);
        scale[v] = static_cast<T>(!hgnn ? 1 : degree > 0 ? 1 / std::sqrt(degree) : 0);
    }
    const auto most = [&](int64_t begin, int64_t end) {
        const int32_t* const holder = h.holders.column + h.holders.row_start[begin];
        return sum_of_parts(h.holders.row_start[end] - h.holders.row_start[begin], threads,
                            [&](int64_t k, int64_t last) {
                                int64_t entries = 0;
                                for (; k < last; ++k) entries += h.size(holder[k]);
                                return entries;
                            });
    };
    // A row, listed at 0 and without its own column in a clique.
    const auto list_row = [&](int64_t v, List<T> list) {
        int64_t at = 0;
        for (int64_t k = h.holders.row_start[v]; k < h.holders.row_start[v + 1]; ++k) {
            const int64_t e = h.holders.column[k], size = h.size(e);
            const auto weight = static_cast<T>(hgnn ? own_weight(e) / static_cast<double>(size) : own_weight(e));
            const int32_t* const member = h.members.column + h.members.row_start[e];
            for (int64_t j = 0; j < size && weight != T{0}; ++j) {
                list.column[at] = member[j];
                list.value[at] = weight;
                at += hgnn | (member[j] != v);
            }
        }
        row_start[v + 1] = at;
    };
    const auto lists = [&, longest = longest_row(h)](int64_t, int64_t) {
        return [&, space = Lists<T>(longest)](int64_t v) mutable -> Listed<T> {
            list_row(v, space.list());
            return {space.list(), 0, v + 1};
        };
    };
    return merge_rows(h.holders.row_start, h.nodes(), scale.data(), row_start, column, value, threads, most, lists);
}

#define MOIETY_MATRIX(T)                                                                                   \
    template int64_t laplacian(const Hypergraph&, const Rule&, const Pairs&, int64_t*, int32_t*, T*, int); \
    template int64_t clique(const Hypergraph&, bool, int64_t*, int32_t*, T*, int)
MOIETY_MATRIX(float);
MOIETY_MATRIX(double);
#undef MOIETY_MATRIX

}  // namespace moiety::hypergraph
