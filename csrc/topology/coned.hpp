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
#include <vector>

#include "topology/cells.hpp"
#include "topology/coned_block.hpp"

namespace moiety::topology {

struct BlockPolicy {
    int64_t cells = 512;  // a block ends when that many cells have entered since it began ...
    double alive = 2;     // ... and that many times as many as it began with
};

// The reduction of a sequence that comes in pieces; it keeps the cells of one block and no more.
class ConedStream {
  public:
    // Bars of dimension 0, ..., max_dimension go to `bars`, in no order; cells above dimension max_dimension + 1 are
    // ignored. A bar that is there at the end has last = positions - 1 and a closed death.
    ConedStream(int32_t positions, int max_dimension, const BlockPolicy& policy, Bars& bars, Work& work)
        : policy_(policy), bars_(bars), work_(work), block_(positions, max_dimension) {
        cells_.positions = positions;
    }

    // The next cells [from, to) of a canonical sequence. In the sequence cell `from` has the number `next`, one more
    // than the last that came, and those before `from`, which came earlier, have numbers from `before` on.
    void feed(const Cells& cells, int64_t from, int64_t to, int64_t next, int64_t before = 0);
    // Nothing comes any more.
    void finish();

  private:
    void advance(bool all);
    void run(int32_t e, int32_t until);
    int32_t local(int64_t number) const;

    BlockPolicy policy_;
    Bars& bars_;
    Work& work_;
    ConedBlock block_;
    Cells cells_;                  // those of K_s, then those that entered since, in that order
    std::vector<int64_t> number_;  // in the sequence
    int32_t present_ = 0, s_ = 0;  // how many are of K_s; s
    std::vector<Carried> carried_;
    bool done_ = false;
};

// The bars of canonical, valid `cells`.
Bars coned_bars(const Cells& cells, int max_dimension, const BlockPolicy& policy, Work& work);

}  // namespace moiety::topology
