#include "topology/barcode.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "topology/components.hpp"
#include "topology/compress.hpp"

namespace moiety::topology {

void sort(Bars& bars) {
    std::vector<size_t> by(static_cast<size_t>(bars.size()));
    std::iota(by.begin(), by.end(), size_t{0});
    const auto key = [&](size_t i) { return std::tuple(bars.dimension[i], bars.first[i], bars.last[i], bars.kind[i]); };
    std::sort(by.begin(), by.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
    Bars sorted;
    for (const size_t i : by) sorted.add(bars.dimension[i], bars.first[i], bars.last[i], bars.kind[i]);
    bars = std::move(sorted);
}

Bars barcode(const Cells& cells, const BarcodeOptions& options, Work& work) {
    bool shared = false;  // does any cell live as long as another?
    for (size_t i = 1; i < cells.enter.size() && !shared; ++i) {
        shared = cells.enter[i] == cells.enter[i - 1] && cells.exit[i] == cells.exit[i - 1];
    }
    const bool flat = std::all_of(cells.dimension.begin(), cells.dimension.end(), [](int8_t d) { return d <= 1; });
    const auto reduced = [&](const Cells& left) {
        if (flat || options.max_dimension == 0) return graph_bars(left, options.max_dimension > 0);
        return coned_bars(left, options.max_dimension, options.blocks, work);
    };
    Bars bars;
    if (options.compressed && shared) {
        bars = reduced(compress(cells, options.max_dimension, work));
    } else {
        work.cells += cells.size();
        work.critical += cells.size();
        bars = reduced(cells);
    }
    sort(bars);
    return bars;
}

}  // namespace moiety::topology
