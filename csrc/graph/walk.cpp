#include "graph/walk.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "core/check.hpp"
#include "core/parallel.hpp"
#include "graph/random.hpp"

namespace moiety::graph {
namespace {

constexpr int64_t walks_per_block = 64;
constexpr int rejections = 32;  // before weights are summed

template <class Index>
bool rows_are_sorted(const Adjacency<Index>& graph, int threads) {
    std::atomic<bool> sorted{true};
    parallel_for(graph.rows, 4096, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end && sorted.load(std::memory_order_relaxed); ++i) {
            const auto row = graph.row(i);
            if (!std::is_sorted(graph.column + row.begin, graph.column + row.begin + row.degree)) sorted = false;
        }
    });
    return sorted;
}

template <class Index>
class SecondOrder {
  public:
    SecondOrder(const Adjacency<Index>& graph, const WalkOptions& options)
        : graph_(graph),
          back_(1 / options.p),
          away_(1 / options.q),
          most_(std::max({back_, away_, 1.0})),
          sorted_(rows_are_sorted(graph, options.threads)) {}

    int64_t step(int64_t from, int64_t begin, int64_t degree, Stream& stream) const {
        for (int k = 0; k < rejections; ++k) {
            const int64_t x = graph_.neighbour(begin + stream.below(degree));
            const double level = stream.unit() * most_;
            // Most proposals are decided without looking for x.
            if (x != from && level < std::min(away_, 1.0)) return x;
            if (level < weight(from, x)) return x;
        }
        double total = 0;
        for (int64_t e = begin; e < begin + degree; ++e) total += weight(from, graph_.neighbour(e));
        double level = stream.unit() * total;
        int64_t e = begin;
        for (; e + 1 < begin + degree; ++e)
            if ((level -= weight(from, graph_.neighbour(e))) < 0) break;
        return graph_.neighbour(e);
    }

  private:
    double weight(int64_t from, int64_t x) const {
        if (x == from) return back_;
        const auto row = graph_.row(from);
        const Index *begin = graph_.column + row.begin, *end = begin + row.degree;
        const auto value = static_cast<Index>(x);
        const bool adjacent = sorted_ ? std::binary_search(begin, end, value) : std::find(begin, end, value) != end;
        return adjacent ? 1 : away_;
    }

    const Adjacency<Index>& graph_;
    double back_, away_, most_;
    bool sorted_;
};

// Takes the step of each walk of a block in turn: `next(walk, begin, degree)` is the node it goes to.
template <class Index, class Next>
void walk_block(const Adjacency<Index>& graph, int64_t first, int64_t last, int64_t length, int64_t* walks,
                const Next& next) {
    const int64_t stride = length + 1;
    for (int64_t step = 0; step < length; ++step)
        for (int64_t w = first; w < last; ++w) {
            int64_t* at = walks + w * stride + step;
            at[1] = -1;
            if (at[0] < 0) continue;
            const auto row = graph.row(at[0]);
            if (row.degree == 0) continue;
            at[1] = next(w, step, row.begin, row.degree);
            __builtin_prefetch(graph.row_start + at[1]);
        }
}

}  // namespace

template <class Index>
void random_walks(const Adjacency<Index>& graph, std::span<const int64_t> starts, const WalkOptions& options,
                  std::span<int64_t> walks) {
    check(graph.rows == graph.columns, "random_walks: expected a square graph, got ", graph.rows, " rows and ",
          graph.columns, " columns");
    check(options.length >= 1, "random_walks: expected a length >= 1, got ", options.length);
    check(std::isfinite(options.p) && options.p > 0 && std::isfinite(options.q) && options.q > 0,
          "random_walks: expected p and q > 0 and finite, got ", options.p, " and ", options.q);
    const auto count = static_cast<int64_t>(starts.size());
    check(static_cast<int64_t>(walks.size()) == count * (options.length + 1), "random_walks: expected room for ", count,
          " walks of ", options.length + 1, " nodes, got ", walks.size());
    for (int64_t w = 0; w < count; ++w) {
        const int64_t v = starts[static_cast<size_t>(w)];
        check(v >= 0 && v < graph.rows, "random_walks: expected starts in [0, ", graph.rows, "), got ", v);
        walks[static_cast<size_t>(w * (options.length + 1))] = v;
    }

    const auto in_blocks = [&](const auto& next) {
        parallel_for(count, walks_per_block, options.threads, [&](int64_t begin, int64_t end) {
            std::vector<Stream> streams;
            for (int64_t first = begin; first < end; first += walks_per_block) {
                const int64_t last = std::min(first + walks_per_block, end);
                streams.clear();
                for (int64_t w = first; w < last; ++w) streams.emplace_back(options.seed, static_cast<uint64_t>(w));
                walk_block(graph, first, last, options.length, walks.data(),
                           [&](int64_t w, int64_t step, int64_t row, int64_t degree) {
                               return next(w, step, row, degree, streams[static_cast<size_t>(w - first)]);
                           });
            }
        });
    };
    const auto uniform = [&](int64_t begin, int64_t degree, Stream& stream) {
        return graph.neighbour(begin + stream.below(degree));
    };
    if (options.p == 1 && options.q == 1)
        return in_blocks([&](int64_t, int64_t, int64_t begin, int64_t degree, Stream& stream) {
            return uniform(begin, degree, stream);
        });
    const SecondOrder<Index> second(graph, options);
    in_blocks([&](int64_t w, int64_t step, int64_t begin, int64_t degree, Stream& stream) {
        if (step == 0) return uniform(begin, degree, stream);
        const int64_t from = walks[static_cast<size_t>(w * (options.length + 1) + step - 1)];
        return second.step(from, begin, degree, stream);
    });
}

template void random_walks(const Adjacency<int32_t>&, std::span<const int64_t>, const WalkOptions&, std::span<int64_t>);
template void random_walks(const Adjacency<int64_t>&, std::span<const int64_t>, const WalkOptions&, std::span<int64_t>);

}  // namespace moiety::graph
