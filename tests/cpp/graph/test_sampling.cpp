// Samples, walks and their streams of random numbers: every draw is an entry of the graph, at any number of threads.
#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "check.hpp"
#include "graph/random.hpp"
#include "graph/sample.hpp"
#include "graph/walk.hpp"

namespace {

using namespace moiety::graph;

// Row i has i % 17 entries, scattered.
struct Graph {
    explicit Graph(int64_t n) {
        start.push_back(0);
        for (int64_t i = 0; i < n; ++i) {
            for (int64_t k = 0; k < i % 17; ++k) to.push_back(static_cast<int32_t>((i * 7 + k * 31) % n));
            start.push_back(static_cast<int64_t>(to.size()));
        }
    }
    Adjacency<int32_t> view() const {
        const auto n = static_cast<int64_t>(start.size()) - 1;
        return {{n, n, start.data(), to.data()}};
    }
    std::vector<int64_t> start;
    std::vector<int32_t> to;
};

int64_t at(const std::vector<int64_t>& v, int64_t i) { return v[static_cast<size_t>(i)]; }

bool is_sample_of(const Sample& s, const Graph& g, const std::vector<int64_t>& fanouts, bool replace) {
    bool ok = std::set<int64_t>(s.nodes.begin(), s.nodes.end()).size() == s.nodes.size();
    ok &= static_cast<int64_t>(s.nodes.size()) == s.hops.back() && s.hops.size() == fanouts.size() + 1;
    ok &= static_cast<int64_t>(s.indptr.size()) == s.hops[fanouts.size() - 1] + 1;
    int64_t numbered = s.hops[0];
    for (size_t hop = 0; hop < fanouts.size(); ++hop) {
        for (int64_t i = hop == 0 ? 0 : s.hops[hop - 1]; i < s.hops[hop]; ++i) {
            const int64_t v = at(s.nodes, i), degree = at(g.start, v + 1) - at(g.start, v);
            const int64_t begin = at(s.indptr, i), end = at(s.indptr, i + 1), fanout = fanouts[hop];
            const int64_t wanted = fanout < 0 || degree == 0 ? degree : replace ? fanout : std::min(fanout, degree);
            ok &= end - begin == wanted;
            std::set<int64_t> positions;
            for (int64_t e = begin; e < end; ++e) {
                const int64_t position = at(s.edges, e), local = s.indices[static_cast<size_t>(e)];
                ok &= position >= at(g.start, v) && position < at(g.start, v + 1);
                ok &= at(s.nodes, local) == g.to[static_cast<size_t>(position)];
                ok &= local <= numbered;  // numbers rise in the order of the entries
                numbered = std::max(numbered, local + 1);
                positions.insert(position);
            }
            ok &= replace || static_cast<int64_t>(positions.size()) == end - begin;
        }
        ok &= numbered <= s.hops[hop + 1];
    }
    return ok;
}

bool equal(const Sample& a, const Sample& b) {
    return a.nodes == b.nodes && a.hops == b.hops && a.indptr == b.indptr && a.indices == b.indices &&
           a.edges == b.edges;
}

void samples() {
    const Graph g(5000);
    std::vector<int64_t> seeds;
    for (int64_t v = 3; v < 5000; v += 3) seeds.push_back(v);
    for (const std::vector<int64_t>& fanouts : std::vector<std::vector<int64_t>>{{5}, {4, 3, 2}, {-1, 2}, {16}})
        for (bool replace : {false, true}) {
            const Sample one = sample_neighbors(g.view(), seeds, {fanouts, replace, 7, 1});
            EXPECT(is_sample_of(one, g, fanouts, replace));
            EXPECT(equal(one, sample_neighbors(g.view(), seeds, {fanouts, replace, 7, 3})));
            const bool all = !replace && fanouts[0] == 16;
            EXPECT(equal(one, sample_neighbors(g.view(), seeds, {fanouts, replace, 8, 1})) == all);
        }
    const std::vector<int64_t> fanouts{2}, twice{1, 2, 1}, far{5000}, bad{0}, none;
    EXPECT_THROWS(sample_neighbors(g.view(), twice, {fanouts, false, 0, 1}));
    EXPECT_THROWS(sample_neighbors(g.view(), far, {fanouts, false, 0, 1}));
    EXPECT_THROWS(sample_neighbors(g.view(), seeds, {bad, false, 0, 1}));
    EXPECT_THROWS(sample_neighbors(g.view(), seeds, {none, false, 0, 1}));
    // The table of numbers is clean after an error.
    EXPECT(is_sample_of(sample_neighbors(g.view(), seeds, {fanouts, false, 0, 1}), g, fanouts, false));

    Graph broken(100);
    broken.to[40] = 100;
    std::vector<int64_t> every(100);
    for (int64_t v = 0; v < 100; ++v) every[static_cast<size_t>(v)] = v;
    EXPECT_THROWS(sample_neighbors(broken.view(), every, {far, false, 0, 1}));
}

void walks() {
    const Graph g(3000);
    std::vector<int64_t> starts;
    for (int64_t v = 0; v < 3000; ++v) starts.push_back(v);
    constexpr int64_t length = 9;
    for (const auto& [p, q] : std::vector<std::pair<double, double>>{{1, 1}, {0.25, 4}, {1e9, 1e-9}}) {
        std::vector<int64_t> one(3000 * (length + 1)), three = one;
        random_walks(g.view(), starts, {length, p, q, 5, 1}, one);
        random_walks(g.view(), starts, {length, p, q, 5, 3}, three);
        EXPECT(one == three);
        bool ok = true;
        for (int64_t w = 0; w < 3000; ++w)
            for (int64_t step = 0; step < length; ++step) {
                const int64_t v = at(one, w * (length + 1) + step), next = at(one, w * (length + 1) + step + 1);
                const auto* begin = g.to.data() + (v < 0 ? 0 : at(g.start, v));
                const auto* end = v < 0 ? begin : g.to.data() + at(g.start, v + 1);
                ok &= begin == end ? next == -1 : std::find(begin, end, next) != end;
            }
        EXPECT(ok);
    }
    std::vector<int64_t> room(3000 * (length + 1));
    EXPECT_THROWS(random_walks(g.view(), starts, {length, 0, 1, 5, 1}, room));
    EXPECT_THROWS(random_walks(g.view(), starts, {length + 1, 1, 1, 5, 1}, room));
    EXPECT_THROWS(random_walks(g.view(), starts, {0, 1, 1, 5, 1}, room));
}

void streams() {
    // A stream is uniform enough that each of 10 cells has its share of 10^5 draws within six deviations.
    Stream s(1, 2);
    std::vector<int64_t> cells(10, 0);
    for (int k = 0; k < 100000; ++k) ++cells[static_cast<size_t>(s.below(10))];
    for (int64_t c : cells) EXPECT(std::abs(c - 10000) < 570);
    EXPECT(Stream(1, 2).next() == Stream(1, 2).next());
    EXPECT(Stream(1, 2).next() != Stream(1, 3).next() && Stream(1, 2).next() != Stream(2, 2).next());
    for (int k = 0; k < 1000; ++k) {
        const double u = s.unit();
        EXPECT(u >= 0 && u < 1);
    }
}

}  // namespace

int main() {
    samples();
    walks();
    streams();
    return moiety::test::report();
}
