#include "topology/series.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "topology/compress.hpp"

namespace moiety::topology {

Bars series_barcode(const Snapshots& snapshots, Mode mode, const BarcodeOptions& options, int32_t chunk, Work& work) {
    check(chunk >= 1, "series: expected chunks of at least one step, got ", chunk);
    const int32_t steps = snapshots.steps();
    if (mode == Mode::paper || steps <= chunk + 1) {
        return barcode(flag_cells(timed_graph(snapshots, mode), options.max_dimension), options, work);
    }
    Bars bars;
    ConedStream stream(2 * steps - 1, options.max_dimension, options.blocks, bars, work);
    int64_t fed = 0, same = 0;  // cells so far; the number of the first cell of the last snapshot
    for (int32_t from = 0; from + 1 < steps; from += chunk) {
        const int32_t to = std::min(from + chunk, steps - 1);  // the chunk's last snapshot
        TimedGraph graph = timed_graph(snapshots.part(from, to + 1), mode);
        // Its own positions are those from 2 `from` on, where only the ends of its first and last snapshots differ.
        const int32_t shift = 2 * from, last = graph.positions - 1;
        const bool before = from > 0, after = to + 1 < steps;
        const auto move = [&](int32_t& enter, int32_t& exit) {
            if (enter == 0 && before) enter = -1;
            if (exit == last && after) exit = last + 1;
            enter += shift;
            exit += shift;
        };
        for (size_t i = 0; i < graph.vertex_enter.size(); ++i) move(graph.vertex_enter[i], graph.vertex_exit[i]);
        for (size_t i = 0; i < graph.enter.size(); ++i) move(graph.enter[i], graph.exit[i]);
        graph.positions = 2 * steps - 1;
        const Cells cells = flag_cells(graph, options.max_dimension);
        Work part;
        const Cells left = compress(cells, options.max_dimension, part);
        // What enters with the chunk's first snapshot came with the chunk before, in the same order.
        const auto until = [&](const Cells& c, int32_t enter) {
            return std::lower_bound(c.enter.begin(), c.enter.end(), enter) - c.enter.begin();
        };
        const int64_t known = before ? until(left, shift) : 0;
        stream.feed(left, known, left.size(), fed, same);
        same = fed + until(left, 2 * to - 1) - known;
        fed += left.size() - known;
        const int64_t fresh = cells.size() - (before ? until(cells, shift) : 0);
        work.cells += fresh;
        work.critical += left.size() - known;
        work.matched += fresh - (left.size() - known);
    }
    stream.finish();
    sort(bars);
    return bars;
}

}  // namespace moiety::topology
