// What is reduced: a zigzag of cell complexes, given by the cells and when each of them is there.
//
// A sequence of complexes K_0, K_1, ..., K_{positions-1}, each contained in the next or containing it, is stored cell
// by cell: a cell is present in K_enter, ..., K_exit (both included) and its boundary over Z2 is a set of cells that
// are present throughout. A cell that leaves and returns is a new cell each time (a Delta-complex), so lifetimes are
// intervals. Nothing here knows of vertices: cells may be simplices or what is left of them after `compress`.
//
// Canonical order: by enter, then by falling exit, then by dimension. Faces precede cofaces in it, cells of one
// lifetime are neighbours, and a lifetime that contains another comes first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moiety::topology {

struct Cells {
    int32_t positions = 0;
    std::vector<int8_t> dimension;
    std::vector<int32_t> enter, exit;
    std::vector<int64_t> start{0};  // of a cell's faces in `face`
    std::vector<int32_t> face;

    int64_t size() const { return static_cast<int64_t>(dimension.size()); }
    std::span<const int32_t> boundary(int64_t cell) const {
        const size_t i = static_cast<size_t>(cell);
        return {face.data() + start[i], static_cast<size_t>(start[i + 1] - start[i])};
    }
    void add(int dim, int32_t first, int32_t last, std::span<const int32_t> faces) {
        dimension.push_back(static_cast<int8_t>(dim));
        enter.push_back(first);
        exit.push_back(last);
        face.insert(face.end(), faces.begin(), faces.end());
        start.push_back(static_cast<int64_t>(face.size()));
    }
    int64_t bytes() const { return size() * (1 + 4 + 4 + 8) + static_cast<int64_t>(face.size()) * 4; }
};

// The same cells in canonical order; order[k], where wanted, is the number that cell k had. Lifetimes must lie
// within the sequence. O(cells + positions).
Cells canonical(const Cells& cells, std::vector<int32_t>* order = nullptr);

// Throws Error, naming the cell, unless every lifetime lies within the sequence, every face has one dimension less,
// precedes its coface and is there as long as it, boundaries name no cell twice, and the boundary of a boundary is 0.
void validate(const Cells& cells);

// One summand of the homology of the sequence: it lives in K_first, ..., K_last and nowhere else. An end is open
// where the arrow beyond it points into the bar: born by a deletion, or killed by an insertion.
enum Kind : uint8_t { closed_closed = 0, open_closed = 1, closed_open = 2, open_open = 3 };  // bit 0 birth, bit 1 death

struct Bars {
    std::vector<int8_t> dimension;
    std::vector<int32_t> first, last;
    std::vector<uint8_t> kind;

    int64_t size() const { return static_cast<int64_t>(dimension.size()); }
    void add(int dim, int32_t from, int32_t to, int kinds) {
        dimension.push_back(static_cast<int8_t>(dim));
        first.push_back(from);
        last.push_back(to);
        kind.push_back(static_cast<uint8_t>(kinds));
    }
};

// What a reduction did; filled by the kernels themselves.
struct Work {
    int64_t cells = 0;      // that came in
    int64_t matched = 0;    // that were paired within one lifetime
    int64_t critical = 0;   // that were left to the coned matrix
    int64_t blocks = 0;     // coned matrices
    int64_t columns = 0;    // that were looked at there: cells and cones that were not cleared
    int64_t additions = 0;  // of one column to another
    int64_t entries = 0;    // toggled in all: of columns loaded and added
    int64_t stored = 0;     // entries of reduced columns that were kept, the most in one block
    int64_t bytes = 0;      // of the largest block's arrays and columns
};

}  // namespace moiety::topology
