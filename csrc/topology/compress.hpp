// Pairs off what cannot be seen: a cell and a face of it that come and go together.
//
// Two cells of one lifetime, one in the boundary of the other, can be cancelled (algebraic discrete Morse theory; a
// matching within the fibres of a poset map is always compatible with the maps): the smaller complex has the homology
// of the larger one at every position, and the same maps between positions, so it has the same bars. Repeated until
// no cell has a critical face of its own lifetime.
//
// Cells come in canonical order, one after another. A cell's boundary is rewritten in critical cells: a face that was
// matched with a face of its own counts nothing, one that was matched with a coface is what the rest of that coface's
// boundary makes of it (its normal form, rewritten lazily as in union-find). If a critical face of the cell's own
// lifetime is left, the last of them is matched with the cell; else the cell is critical. Cells of dimension
// `max_dimension` + 1 are there for their boundaries only: those that add nothing to the boundaries of others of their
// lifetime are dropped, as are all of higher dimension.
//
// O(cells x length of normal forms); those of vertices have length 1.
#pragma once

#include <cstdint>
#include <vector>

#include "topology/cells.hpp"
#include "topology/chain.hpp"

namespace moiety::topology {

// Normal forms of cells whose numbers rise; see above. One object a sequence.
class NormalForms {
  public:
    // Room for cells numbered below `count`, all critical.
    void resize(int64_t count);
    bool critical(int32_t cell) const { return state_[static_cast<size_t>(cell)] == State::critical; }
    void drop(int32_t cell) { state_[static_cast<size_t>(cell)] = State::nothing; }  // it counts nothing from now on
    // `cell` is homologous to `chain`, of which it is no element.
    void set(int32_t cell, std::span<const int32_t> chain);
    // Appends the normal form of `cell`, not yet cancelled against what is there.
    void append(int32_t cell, Chain& chain);

  private:
    enum class State : uint8_t { critical, nothing, single, list };
    struct Range {
        int64_t start;
        int32_t length, capacity;
    };

    bool settled(int32_t cell) const;
    int32_t settle(int32_t cell);
    void rewrite(int32_t cell);

    std::vector<State> state_;
    std::vector<int32_t> value_;  // single: the one cell; list: its range
    std::vector<Range> range_;
    std::vector<int32_t> pool_, stack_, waiting_;
    Chain scratch_;
};

// The critical cells of `cells`, which must be in canonical order, with their boundaries; order[k] is the number in
// `cells` of the k-th. Adds to work.cells, work.matched and work.critical.
Cells compress(const Cells& cells, int max_dimension, Work& work, std::vector<int32_t>* order = nullptr);

}  // namespace moiety::topology
