#include "graph/sample.hpp"

#include <algorithm>
#include <limits>

#include "core/buffer.hpp"
#include "core/check.hpp"
#include "core/parallel.hpp"
#include "graph/random.hpp"

namespace moiety::graph {
namespace {

constexpr int64_t rows_per_block = 32;  // drawn together: their lines are on the way while the next are drawn
constexpr int64_t grain_rows = 512;     // of a thread: enough draws to pay for waking it
constexpr int64_t ahead = 16;           // entries between asking for a line and reading it

void prefetch(const void* address) { __builtin_prefetch(address); }

// The number of each of the graph's nodes in the sample under way, -1 for none: a table that outlives the call on its
// thread. The destructor clears what the call set, after an error too.
class Numbers {
  public:
    Numbers(int64_t columns, const std::vector<int64_t>& nodes) : nodes_(nodes) {
        if (static_cast<int64_t>(table().size()) < columns) table().resize(static_cast<size_t>(columns), -1);
        data_ = table().data();
    }
    ~Numbers() {
        for (int64_t v : nodes_) data_[v] = -1;
    }
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;

    int32_t& operator[](int64_t v) { return data_[v]; }

  private:
    static std::vector<int32_t>& table() {
        thread_local std::vector<int32_t> table;
        return table;
    }
    const std::vector<int64_t>& nodes_;
    int32_t* data_;
};

int64_t count_of(int64_t degree, int64_t fanout, bool replace) {
    if (fanout < 0 || degree == 0) return degree;
    return replace ? fanout : std::min(degree, fanout);
}

int64_t& at(std::vector<int64_t>& v, int64_t i) { return v[static_cast<size_t>(i)]; }

// Floyd: for j from degree - count on, take a uniform t of [0, j], or j itself when t was taken. `taken` has a bit for
// each of the row's entries, all 0 before and after. Calls `drawn(t)` for each.
template <class Drawn>
void draw_subset(Stream& stream, int64_t degree, int64_t count, std::vector<uint64_t>& taken, const Drawn& drawn) {
    const auto words = static_cast<size_t>(degree / 64 + 1);
    if (taken.size() < words) taken.resize(words, 0);
    uint64_t* bits = taken.data();
    for (int64_t j = degree - count; j < degree; ++j) {
        int64_t t = stream.below(j + 1);
        if (bits[t / 64] >> (t % 64) & 1) t = j;
        bits[t / 64] |= uint64_t{1} << (t % 64);
        drawn(t);
    }
}

// Positions of `count` = count_of() entries of a node's row, whose cache lines are asked for.
template <class Index>
void draw(const Adjacency<Index>& graph, int64_t node, int64_t fanout, int64_t count, const SampleOptions& options,
          std::vector<uint64_t>& taken, int64_t* drawn) {
    const auto [begin, degree] = graph.row(node);
    const Index* entries = graph.column + begin;
    if (fanout < 0 || (!options.replace && count == degree)) {
        for (int64_t k = 0; k < count; ++k) drawn[k] = begin + k;
        prefetch(entries);
        prefetch(entries + count);  // longer rows are read in sequence, which the processor sees
        return;
    }
    Stream stream(options.seed, static_cast<uint64_t>(node));
    int64_t* next = drawn;
    const auto keep = [&, begin = begin](int64_t t) {
        *next++ = begin + t;
        prefetch(entries + t);
    };
    if (options.replace) {
        for (int64_t k = 0; k < count; ++k) keep(stream.below(degree));
    } else {
        draw_subset(stream, degree, count, taken, keep);
        for (int64_t k = 0; k < count; ++k) taken[static_cast<size_t>((drawn[k] - begin) / 64)] = 0;
    }
}

// Draws for nodes [first, sample.nodes.size()) and numbers what they lead to.
template <class Index>
void expand(const Adjacency<Index>& graph, int64_t first, int64_t fanout, const SampleOptions& options, Sample& sample,
            Numbers& number) {
    std::vector<int64_t>&nodes = sample.nodes, &indptr = sample.indptr;
    const auto last = static_cast<int64_t>(nodes.size());
    indptr.resize(static_cast<size_t>(last) + 1);
    for (int64_t i = first; i < last; ++i) {
        if (i + ahead < last) prefetch(graph.row_start + at(nodes, i + ahead));
        at(indptr, i + 1) = at(indptr, i) + count_of(graph.row(at(nodes, i)).degree, fanout, options.replace);
    }
    const int64_t edges_before = at(indptr, first), edges_after = at(indptr, last);
    check(edges_after < std::numeric_limits<int32_t>::max(),
          "sample_neighbors: expected fewer than 2^31 edges in a sample, got ", edges_after,
          "; take fewer seeds or smaller fan-outs");
    sample.edges.resize(static_cast<size_t>(edges_after));
    sample.indices.resize(static_cast<size_t>(edges_after));

    Buffer<Index> found(edges_after - edges_before);
    parallel_for(last - first, grain_rows, options.threads, [&](int64_t begin, int64_t end) {
        std::vector<uint64_t> taken;
        for (int64_t block = first + begin; block < first + end; block += rows_per_block) {
            const int64_t block_end = std::min(block + rows_per_block, first + end);
            for (int64_t i = block; i < block_end; ++i) {
                const int64_t place = at(indptr, i), count = at(indptr, i + 1) - place, v = at(nodes, i);
                draw(graph, v, fanout, count, options, taken, sample.edges.data() + place);
            }
            for (int64_t e = at(indptr, block); e < at(indptr, block_end); ++e)
                found[e - edges_before] = static_cast<Index>(graph.neighbour(at(sample.edges, e)));
        }
    });

    // In order. A node that was met before must not cost a mispredicted branch, so each is written behind the new ones,
    // which take the place of what has been looked at, and kept when it is new.
    nodes.reserve(static_cast<size_t>(last + found.size()));  // so that what has a number is sure to be cleared
    int64_t fresh = 0;
    for (int64_t e = 0; e < found.size(); ++e) {
        if (e + ahead < found.size()) prefetch(&number[static_cast<int64_t>(found[e + ahead])]);
        const Index v = found[e];
        int32_t& entry = number[static_cast<int64_t>(v)];
        const bool is_new = entry < 0;
        found[fresh] = v;
        entry = is_new ? static_cast<int32_t>(last + fresh) : entry;
        sample.indices[static_cast<size_t>(edges_before + e)] = entry;
        fresh += is_new;
    }
    nodes.insert(nodes.end(), found.data(), found.data() + fresh);
    const int64_t known = last + fresh;
    sample.hops.push_back(known);
}

}  // namespace

template <class Index>
Sample sample_neighbors(const Adjacency<Index>& graph, std::span<const int64_t> seeds, const SampleOptions& options) {
    check(graph.rows == graph.columns, "sample_neighbors: expected a square graph, got ", graph.rows, " rows and ",
          graph.columns, " columns");
    check(!options.fanouts.empty(), "sample_neighbors: expected a fan-out a hop, got none");
    for (int64_t fanout : options.fanouts)
        check(fanout >= 1 || fanout == -1, "sample_neighbors: expected fan-outs >= 1 or -1 for all, got ", fanout);

    Sample sample;
    {
        Numbers number(graph.columns, sample.nodes);  // which reads sample.nodes when it goes, hence the scope
        for (int64_t v : seeds) {
            check(v >= 0 && v < graph.rows, "sample_neighbors: expected seeds in [0, ", graph.rows, "), got ", v);
            check(number[v] < 0, "sample_neighbors: expected distinct seeds, got ", v, " twice");
            number[v] = static_cast<int32_t>(sample.nodes.size());
            sample.nodes.push_back(v);
        }
        sample.hops.push_back(static_cast<int64_t>(seeds.size()));
        sample.indptr.push_back(0);
        for (int64_t first = 0; const int64_t fanout : options.fanouts) {
            const auto next = static_cast<int64_t>(sample.nodes.size());
            expand(graph, first, fanout, options, sample, number);
            first = next;
        }
    }
    return sample;
}

template Sample sample_neighbors(const Adjacency<int32_t>&, std::span<const int64_t>, const SampleOptions&);
template Sample sample_neighbors(const Adjacency<int64_t>&, std::span<const int64_t>, const SampleOptions&);

}  // namespace moiety::graph
