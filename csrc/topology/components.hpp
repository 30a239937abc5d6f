// The zigzag persistence of graphs in O(m log m): components, and cycles where nothing fills them.
//
// The same coned filtration as coned.hpp's (T. K. Dey and T. Hou, ESA 2022), but no matrix is needed for it. With the
// cells in the order in which they enter and the cones in the reverse of the order in which they leave,
//   - an edge that joins two components ends the younger (union-find by entry): closed-open bars;
//   - the cone of the first vertex of each component pairs with its oldest vertex: closed-closed bars;
//   - the cone of an edge that joins two components of cones pairs with the younger (union-find by rank): open-closed;
//   - the cone of an edge e that closes a cycle of those that leave later pairs with the last edge i to enter that the
//     cycle, reduced by the cycles before it, is left with. Cycles of a graph are a matroid: i is the edge that drops
//     out of the spanning forest of earliest entries when e comes in. If i enters after e has left, that is an
//     open-open bar of dimension 0, else a closed-closed one of dimension 1.
// The forest only ever gains edges or swaps them: a link-cut tree (D. D. Sleator and R. E. Tarjan, 1985) finds the last
// edge on a path in amortised O(log m).
#pragma once

#include "topology/cells.hpp"

namespace moiety::topology {

// The bars of dimension 0, and with `cycles` those of dimension 1, which are right where no complex has 2-cells. Cells
// of higher dimension are ignored; edges have no or two vertices. `cells` must be canonical and valid.
Bars graph_bars(const Cells& cells, bool cycles);

}  // namespace moiety::topology
