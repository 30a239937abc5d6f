// The whole road from cells to bars.
#pragma once

#include "topology/cells.hpp"
#include "topology/coned.hpp"

namespace moiety::topology {

struct BarcodeOptions {
    int max_dimension = 1;  // of the bars
    bool compressed = true;
    BlockPolicy blocks;
};

// The bars of canonical, valid `cells` in order of dimension, first and last position, and kind. Graphs, and bars of
// dimension 0, take the near-linear way of components.hpp; all else that of coned.hpp.
Bars barcode(const Cells& cells, const BarcodeOptions& options, Work& work);

// Puts bars in that order.
void sort(Bars& bars);

}  // namespace moiety::topology
