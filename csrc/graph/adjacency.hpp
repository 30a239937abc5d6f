// What sampling and walks read of a graph: its compressed rows, each number checked where it is read. They touch a
// small part of a graph that they may not have made, so a pass over all of it would cost more than they do.
#pragma once

#include <cstdint>

#include "core/check.hpp"
#include "graph/csr.hpp"

namespace moiety::graph {

template <class Index>
struct Adjacency : Csr<Index> {
    struct Row {
        int64_t begin, degree;
    };
    Row row(int64_t i) const {
        const int64_t begin = this->row_start[i], end = this->row_start[i + 1];
        check(begin >= 0 && begin <= end && end <= this->edges(), "graph: expected indptr to rise from 0 to ",
              this->edges(), ", got ", begin, " then ", end, " at row ", i);
        return {begin, end - begin};
    }
    // The source of the edge at position e.
    int64_t neighbour(int64_t e) const {
        const auto j = static_cast<int64_t>(this->column[e]);
        check(j >= 0 && j < this->columns, "graph: expected indices in [0, ", this->columns, "), got ", j,
              " at position ", e);
        return j;
    }
};

}  // namespace moiety::graph
