#include "hypergraph/pairs.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "core/scratch.hpp"
#include "graph/schedule.hpp"
#include "hypergraph/pairs_kernel.hpp"

namespace moiety::hypergraph {
namespace {

// Hyperedges below this size are searched without bounds: making them costs more than the pairs.
constexpr int64_t pruned_size = 8;
// Above rounding: squares of distances are sums of `width` terms in float64, each within a few 2^-53 of itself.
constexpr double slack = 1e-9;

template <class T>
const PairsKernels<T>& kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return pairs_avx512<T>();
    if (isa() == Isa::avx2) return pairs_avx2<T>();
#endif
    return pairs_kernels<T>;
}

void check_finite(double value, int64_t node) {
    check(std::isfinite(value), "hypergraph: expected a finite signal, got ", value, " of node ", node,
          " on the way to its pairs");
}

// The best pair of one hyperedge by positions in it, and how ties fall.
struct Best {
    double distance = 0;
    int64_t first = 0, second = 0;

    void offer(double d, int64_t a, int64_t b) {
        if (a > b) std::swap(a, b);
        if (d < distance || d == 0) return;
        if (d > distance || a < first || (a == first && b < second)) distance = d, first = a, second = b;
    }
};

// One thread's space for one hyperedge.
template <class T>
class ExactSearch {
  public:
    ExactSearch(const T* signal, int64_t width) : kernel_(kernels<T>()), signal_(signal), width_(width) {}

    Best search(const int32_t* member, int64_t size) {
        if (size < pruned_size) return every_pair(member, size);
        gather(member, size);
        order_by_radius(member, size);
        Best best;
        for (int64_t a = 0; a + 1 < size; ++a) {
            if (hopeless(a, a + 1, best)) break;
            for (int64_t b = a + 1; b < size && !hopeless(a, b, best); ++b)
                best.offer(kernel_.squared_distance(row(order_[at(a)]), row(order_[at(b)]), width_), order_[at(a)],
                           order_[at(b)]);
        }
        return best;
    }

  private:
    static size_t at(int64_t k) { return static_cast<size_t>(k); }
    const T* row(int64_t k) const { return rows_.data() + k * width_; }

    Best every_pair(const int32_t* member, int64_t size) const {
        Best best;
        for (int64_t a = 0; a < size; ++a)
            for (int64_t b = a + 1; b < size; ++b) {
                const double d =
                    kernel_.squared_distance(signal_ + member[a] * width_, signal_ + member[b] * width_, width_);
                check_finite(d, member[a]);
                best.offer(d, a, b);
            }
        return best;
    }
    // Rows of the hyperedge one behind the other: each is read about |e| times.
    void gather(const int32_t* member, int64_t size) {
        if (static_cast<int64_t>(rows_.size()) < size * width_) rows_.resize(at(size * width_));
        for (int64_t k = 0; k < size; ++k)
            std::memcpy(rows_.data() + k * width_, signal_ + member[k] * width_, at(width_) * sizeof(T));
    }
    void order_by_radius(const int32_t* member, int64_t size) {
        mean_.assign(at(width_), T{0});
        for (int64_t k = 0; k < size; ++k)
            for (int64_t f = 0; f < width_; ++f) mean_[at(f)] += row(k)[f];
        for (T& m : mean_) m /= static_cast<T>(size);
        radius_.resize(at(size));
        order_.resize(at(size));
        for (int64_t k = 0; k < size; ++k) {
            const double r = std::sqrt(kernel_.squared_distance(row(k), mean_.data(), width_));
            check_finite(r, member[k]);
            radius_[at(k)] = r;
            order_[at(k)] = k;
        }
        std::sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) {
            return radius_[at(a)] != radius_[at(b)] ? radius_[at(a)] > radius_[at(b)] : a < b;
        });
    }
    bool hopeless(int64_t a, int64_t b, const Best& best) const {
        const double bound = radius_[at(order_[at(a)])] + radius_[at(order_[at(b)])];
        return bound * bound * (1 + slack) < best.distance;
    }

    const PairsKernels<T>& kernel_;
    const T* signal_;
    int64_t width_;
    std::vector<T> rows_, mean_;
    std::vector<double> radius_;
    std::vector<int64_t> order_;
};

}  // namespace

template <class T>
void pairs_by_projection(const Hypergraph& h, const T* signal, int64_t width, const double* direction, int32_t* first,
                         int32_t* second, int threads) {
    const PairsKernels<T>& kernel = kernels<T>();
    Scratch<double> projection(h.nodes());  // read at random
    parallel_for(h.nodes(), 1 + (int64_t{1} << 17) / std::max<int64_t>(width, 1), threads,
                 [&](int64_t begin, int64_t end) {
                     kernel.project(signal, width, direction, projection.data(), begin, end);
                     bool finite = true;
                     for (int64_t v = begin; v < end; ++v)
                         finite &= std::abs(projection[v]) <= std::numeric_limits<double>::max();
                     for (int64_t v = begin; v < end && !finite; ++v) check_finite(projection[v], v);
                 });
    const Csr<int32_t>& members = h.members;
    graph::for_rows(members.row_start, members.rows, 8, threads, [&](int64_t begin, int64_t end) {
        kernel.extremes(members, projection.data(), begin, end, first, second);
    });
}

template <class T>
void pairs_exact(const Hypergraph& h, const T* signal, int64_t width, int32_t* first, int32_t* second, int threads) {
    const Csr<int32_t>& members = h.members;
    graph::for_rows(members.row_start, members.rows, 8 * width, threads, [&](int64_t begin, int64_t end) {
        ExactSearch<T> search(signal, width);
        for (int64_t e = begin; e < end; ++e) {
            const int32_t* member = members.column + members.row_start[e];
            const Best best = search.search(member, h.size(e));
            first[e] = member[best.first];
            second[e] = member[best.second];
        }
    });
}

void mark_ends(const Hypergraph& h, const Pairs& pairs, uint8_t* at_end, int threads) {
    const auto mark = kernels<float>().mark;  // of no type
    graph::for_rows(h.members.row_start, h.hyperedges(), 4, threads, [&](int64_t begin, int64_t end) {
        const int64_t e = mark(h.members, h.place, pairs.first, pairs.second, begin, end, at_end);
        if (e == end) return;
        check(false, "hypergraph: expected pairs of nodes of their hyperedges, got nodes ", pairs.first[e], " and ",
              pairs.second[e], " of hyperedge ", e, ", which does not hold both");
    });
}

#define MOIETY_PAIRS(T)                                                                                              \
    template void pairs_by_projection(const Hypergraph&, const T*, int64_t, const double*, int32_t*, int32_t*, int); \
    template void pairs_exact(const Hypergraph&, const T*, int64_t, int32_t*, int32_t*, int)
MOIETY_PAIRS(float);
MOIETY_PAIRS(double);
#undef MOIETY_PAIRS

}  // namespace moiety::hypergraph
