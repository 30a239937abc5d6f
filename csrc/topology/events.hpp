// From lists of simplices to cells: every face is found, and what is no zigzag of simplicial complexes is refused.
#pragma once

#include <cstdint>
#include <span>

#include "topology/cells.hpp"

namespace moiety::topology {

// Simplices as lists of vertices, one after another: simplex k has the vertices vertex[start[k]], ...,
// vertex[start[k+1]-1], distinct, in any order.
struct Simplices {
    std::span<const int64_t> start;
    std::span<const int32_t> vertex;

    int64_t size() const { return static_cast<int64_t>(start.size()) - 1; }
};

// Event k inserts (insertion[k] != 0) or deletes simplex k; K_0 is empty and K_{k+1} is there after event k. A simplex
// may be inserted again once it was deleted. Cells come out in the order of insertion, which is canonical. Throws Error
// with the number of the event for a simplex without vertices or with one twice, inserted while present or before a
// face, deleted while absent or under a coface.
Cells cells_of_events(const Simplices& simplices, std::span<const uint8_t> insertion);

// Simplex k is in K_enter[k], ..., K_exit[k]; the same one may be listed again for other times. order[c] is the simplex
// of cell c; cells are canonical. Throws Error with the number of the simplex for lifetimes outside the sequence, that
// overlap those of the same simplex, or that exceed a face's, and where one step of the sequence both inserts and
// deletes.
Cells cells_of_intervals(const Simplices& simplices, std::span<const int32_t> enter, std::span<const int32_t> exit,
                         int32_t positions, std::vector<int32_t>& order);

}  // namespace moiety::topology
