// Zigzag persistence over Z2, in blocks of the sequence.
//
// T. K. Dey and T. Hou, Fast computation of zigzag persistence (ESA 2022, arXiv 2204.11080), from the paper: a zigzag
// in which every cell enters once and leaves once has the pairs of an ordinary filtration. First a vertex w, then the
// cells s in the order in which they enter, then the cones w*s in the reverse of the order in which they leave; the
// boundary of w*s is s and the cones of its faces (s and w, if s is a vertex). Every cell but w is paired, and a pair
// (i, j) says
//     i, j cells:                      a bar of dimension dim i from i's entry to before j's;
//     cones of i, j:                   dimension dim i, from after j has left to i's last position;
//     i a cell, j a cone, i enters by the time j leaves:   dimension dim i, from i's entry to j's last position;
//     i a cell, j a cone, i enters after j has left:       dimension dim i - 1, from after j has left to before i
//     enters.
// Columns are reduced by falling dimension, so that what is known to be born is never reduced (clearing); a column
// whose last entry nobody has is not written anywhere; others are summed in a bit tree. Edges are a union-find.
//
// Blocks. Reducing the whole sequence at once costs the square of its length, because cycles that live long are
// carried through all of it. A block [s, e] of positions starts from K_s and from what the past says about H(K_s): a
// basis of cycles c_k, each with the birth of its bar, in the order of the flag of subspaces that the past maps or
// pulls back to (latest openly born first, then those born by insertions, earliest first). The past is replaced by
// cells y_k without boundary, entered in that order before K_s, and cells x_k with boundary c_k + y_k after it, all of
// which leave before anything else does: their cones pair among themselves and are left out. The bars that outlive the
// block are those whose cone belongs to K_e: they end in a cycle of K_e, which the reduction has at hand, and are the
// next block's basis. So cost and memory are those of the blocks, however long the sequence is.
#pragma once

#include <cstdint>

#include "topology/cells.hpp"

namespace moiety::topology {

struct BlockPolicy {
    int64_t cells = 512;  // a block ends when that many cells have entered since it began ...
    double alive = 2;     // ... and that many times as many as it began with
};

// The bars of dimension 0, ..., max_dimension, in no order. `cells` must be canonical and valid; those above dimension
// max_dimension + 1 are ignored. A bar that is there at the end has last = positions - 1 and a closed death.
Bars coned_bars(const Cells& cells, int max_dimension, const BlockPolicy& policy, Work& work);

}  // namespace moiety::topology
