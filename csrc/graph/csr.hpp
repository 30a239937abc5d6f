// A graph as a sparse matrix in compressed rows, and how one is checked, built and transposed.
//
// Rows are targets and columns are sources: the edges that enter node i lie at positions [row_start[i],
// row_start[i + 1]), and column[e] is the node where edge e starts. Duplicate edges are edges of their own. I, the
// type of a node's number, is int32_t wherever the nodes allow it, since indices are a good part of what a kernel
// reads; positions are always 64 bits. The pattern is public: indices steer addresses.
#pragma once

#include <cstdint>

namespace moiety::graph {

template <class I>
struct Csr {
    int64_t rows = 0, columns = 0;
    const int64_t* row_start = nullptr;  // rows + 1, from 0
    const I* column = nullptr;           // row_start[rows]

    int64_t edges() const { return row_start[rows]; }
};

// Throws Error unless row_start rises from 0 to `edges` and every column lies in [0, columns). Reads everything once.
template <class I>
void validate(const Csr<I>& csr, int64_t edges);

// Compressed rows of an edge list, edges of a row by source and then by position in the list: two stable counting
// sorts, O(edges + rows + columns). Throws Error on a node outside the matrix, naming the edge. `order[k]` is the
// position in the list of the edge that lands at k. row_start: rows + 1; column, order: edges.
template <class I>
void build(const int64_t* target, const int64_t* source, int64_t edges, int64_t rows, int64_t columns,
           int64_t* row_start, I* column, int64_t* order);

// Compressed columns: column_start (columns + 1); row[k] is the target and entry[k] the position in `csr` of the k-th
// edge by source, then by position. The pattern must be valid. O(edges + columns).
template <class I>
void transpose(const Csr<I>& csr, int64_t* column_start, I* row, int64_t* entry);

}  // namespace moiety::graph
