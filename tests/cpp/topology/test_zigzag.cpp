#include <algorithm>
#include <random>

#include "check.hpp"
#include "topology/barcode.hpp"
#include "topology/compress.hpp"
#include "topology/events.hpp"
#include "topology/flag.hpp"
#include "topology/oracle.hpp"
#include "topology/representatives.hpp"
#include "topology/series.hpp"

using namespace moiety;
using moiety::test::Bar;
using moiety::test::Event;

namespace {

// A zigzag of simplices on `vertices` vertices: at each step something that may enter or leave. `lean` of 1 always
// prefers to insert.
std::vector<Event> random_events(std::mt19937& random, int length, int vertices, int max_dimension, double lean) {
    std::vector<Event> events;
    uint64_t present = 0;
    while (static_cast<int>(events.size()) < length) {
        std::vector<uint32_t> entering, leaving;
        for (uint32_t s = 1; s < (1U << vertices); ++s) {
            if (test::dimension_of(s) > max_dimension) continue;
            if ((present >> s & 1) == 0) {
                if ((test::boundary_of(s) & ~present) == 0) entering.push_back(s);
            } else {
                bool free = true;
                for (int v = 0; v < vertices; ++v) {
                    const uint32_t larger = s | 1U << v;
                    free = free && (larger == s || (present >> larger & 1) == 0);
                }
                if (free) leaving.push_back(s);
            }
        }
        const bool insertion = leaving.empty() || (!entering.empty() && random() % 1000 < 1000 * lean);
        const auto& from = insertion ? entering : leaving;
        // Larger simplices are rarer: without this hardly anything of dimension 2 would ever be there.
        uint32_t s = from[random() % from.size()];
        for (int again = 0; again < 3; ++again) {
            const uint32_t other = from[random() % from.size()];
            if (insertion && test::dimension_of(other) > test::dimension_of(s)) s = other;
        }
        events.push_back({insertion, s});
        present ^= uint64_t{1} << s;
    }
    return events;
}

topology::Cells cells_of(const std::vector<Event>& events) {
    std::vector<int64_t> start{0};
    std::vector<int32_t> vertex;
    std::vector<uint8_t> insertion;
    for (const Event& e : events) {
        for (int32_t v = 0; v < 6; ++v) {
            if ((e.simplex >> v & 1) != 0) vertex.push_back(v);
        }
        start.push_back(static_cast<int64_t>(vertex.size()));
        insertion.push_back(e.insertion);
    }
    return topology::cells_of_events({start, vertex}, insertion);
}

std::vector<Bar> list(const topology::Bars& bars) {
    std::vector<Bar> found;
    for (size_t i = 0; i < bars.dimension.size(); ++i) {
        found.emplace_back(bars.dimension[i], bars.first[i], bars.last[i], bars.kind[i]);
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::vector<Bar> engine(const topology::Cells& cells, int max_dimension, bool compressed, int64_t block) {
    topology::Work work;
    return list(topology::barcode(cells, {max_dimension, compressed, {block, block < 100 ? 0.5 : 2.0}}, work));
}

// The cycle of each bar is one of the last complex that it lives in, bounds nothing there, and comes from the first.
void check_cycles(const std::vector<Event>& events, const topology::Cells& cells, int max_dimension,
                  const std::vector<Bar>& expected) {
    const auto found = topology::bars_with_cycles(cells, max_dimension);
    EXPECT(list(found.bars) == expected);
    const auto complexes = test::complexes_of(events);
    std::vector<uint32_t> simplex;  // of a cell
    for (const Event& e : events) {
        if (e.insertion) simplex.push_back(e.simplex);
    }
    for (size_t k = 0; k < found.cycles.size(); ++k) {
        uint64_t chain = 0, boundary = 0;
        for (const int32_t c : found.cycles[k]) {
            const uint32_t s = simplex[static_cast<size_t>(c)];
            chain |= uint64_t{1} << s;
            boundary ^= test::boundary_of(s);
        }
        const size_t first = static_cast<size_t>(found.bars.first[k]), last = static_cast<size_t>(found.bars.last[k]);
        EXPECT(boundary == 0 && chain != 0 && (chain & ~complexes[last]) == 0);
        const int d = found.bars.dimension[k];
        EXPECT(!test::spanned(test::boundaries(complexes[last], d), chain));
        EXPECT(test::spanned(test::carried(events, first, last, d), chain));
    }
}

void against_ranks() {
    std::mt19937 random(7);
    size_t bars = 0;
    for (int trial = 0; trial < 2400; ++trial) {
        const int length = 4 + static_cast<int>(random() % 57), vertices = 2 + static_cast<int>(random() % 4);
        const int dims = std::min(vertices - 1, 1 + static_cast<int>(random() % 3));
        const auto events =
            random_events(random, length, vertices, dims, 0.35 + 0.05 * static_cast<double>(random() % 8));
        const int max_dimension = static_cast<int>(random() % 4);
        auto expected = test::bars_by_ranks(events, max_dimension);
        std::sort(expected.begin(), expected.end());
        bars += expected.size();
        const topology::Cells cells = cells_of(events);
        topology::validate(cells);
        EXPECT(engine(cells, max_dimension, true, 1 << 20) == expected);
        EXPECT(engine(cells, max_dimension, false, 1 + static_cast<int64_t>(random() % 12)) == expected);
        check_cycles(events, cells, max_dimension, expected);
    }
    EXPECT(bars > 10000);
}

// A random series of graphs, each a small change of the one before.
struct Series {
    std::vector<int64_t> start{0};
    std::vector<int32_t> tail, head;
    int32_t nodes;
    topology::Snapshots view() const { return {nodes, start, tail, head}; }
};

Series random_series(std::mt19937& random, int steps, int nodes, double density, double change) {
    Series s;
    s.nodes = nodes;
    std::vector<std::vector<bool>> there(static_cast<size_t>(nodes), std::vector<bool>(static_cast<size_t>(nodes)));
    const auto chance = [&](double p) { return static_cast<double>(random() % 10000) < 10000 * p; };
    for (int t = 0; t < steps; ++t) {
        for (int u = 0; u < nodes; ++u) {
            for (int v = u + 1; v < nodes; ++v) {
                auto bit = there[static_cast<size_t>(u)][static_cast<size_t>(v)];
                if (t == 0 || chance(change)) bit = chance(density);
                if (!bit) continue;
                s.tail.push_back(u);
                s.head.push_back(v);
            }
        }
        s.start.push_back(static_cast<int64_t>(s.tail.size()));
    }
    return s;
}

// Matching within lifetimes and blocks of any size change nothing; nor does a lifetime's own order.
void compressed_blocks_agree() {
    std::mt19937 random(11);
    for (int trial = 0; trial < 60; ++trial) {
        const Series s = random_series(random, 2 + static_cast<int>(random() % 14), 3 + static_cast<int>(random() % 8),
                                       0.15 + 0.1 * static_cast<double>(random() % 6), 0.3);
        const int max_dimension = static_cast<int>(random() % 3);
        for (const auto mode : {topology::Mode::paper, topology::Mode::code}) {
            const auto cells = topology::flag_cells(topology::timed_graph(s.view(), mode), max_dimension);
            topology::validate(cells);
            const auto expected = engine(cells, max_dimension, false, 1 << 20);
            EXPECT(engine(cells, max_dimension, true, 1 << 20) == expected);
            EXPECT(engine(cells, max_dimension, true, 1 + static_cast<int64_t>(random() % 20)) == expected);
            EXPECT(engine(cells, max_dimension, false, 1 + static_cast<int64_t>(random() % 200)) == expected);
            topology::Work series;
            const int32_t chunk = 1 + static_cast<int32_t>(random() % 4);
            EXPECT(list(topology::series_barcode(s.view(), mode, {max_dimension, true, {16, 0.5}}, chunk, series)) ==
                   expected);
            EXPECT(series.cells == cells.size());
            topology::Work work;
            topology::validate(topology::compress(cells, max_dimension, work));
            EXPECT(work.cells == cells.size() && work.critical + work.matched == work.cells);
        }
    }
}

// Graphs alone have a way of their own; so have components.
void graphs_agree() {
    std::mt19937 random(13);
    for (int trial = 0; trial < 400; ++trial) {
        const auto events =
            random_events(random, 4 + static_cast<int>(random() % 57), 2 + static_cast<int>(random() % 5), 1,
                          0.4 + 0.05 * static_cast<double>(random() % 6));
        auto expected = test::bars_by_ranks(events, 1);
        std::sort(expected.begin(), expected.end());
        const topology::Cells cells = cells_of(events);
        EXPECT(engine(cells, 1, false, 512) == expected);
        topology::Work work;
        EXPECT(list(topology::coned_bars(cells, 1, {1 + static_cast<int64_t>(random() % 20), 0.5}, work)) == expected);
        std::erase_if(expected, [](const Bar& bar) { return std::get<0>(bar) == 1; });
        EXPECT(engine(cells, 0, true, 512) == expected);
    }
}

void empty_and_single() {
    topology::Work work;
    EXPECT(topology::barcode(cells_of({}), {}, work).size() == 0);
    const auto bars = list(topology::barcode(cells_of({{true, 1}}), {}, work));
    EXPECT(bars == std::vector<Bar>({{0, 1, 1, topology::closed_closed}}));
}

}  // namespace

int main() {
    empty_and_single();
    against_ranks();
    graphs_agree();
    compressed_blocks_agree();
    return test::report();
}
