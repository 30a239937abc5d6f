// The public pattern of a sparse matrix, in compressed rows: which columns each row reads. Rows of hyperedges and
// columns of nodes are the incidence of a hypergraph.
#pragma once

#include <cstdint>
#include <vector>

namespace moiety::mpc {

struct Pattern {
    std::vector<int64_t> indptr;   // rows + 1, rising from 0 to the number of entries
    std::vector<int32_t> indices;  // the column of every entry, in [0, columns)
    int64_t columns = 0;

    int64_t rows() const { return static_cast<int64_t>(indptr.size()) - 1; }
    int64_t entries() const { return static_cast<int64_t>(indices.size()); }
    // Throws Error unless the pointers rise, the columns are there and nothing is beyond 2^31 rows or entries.
    void validate() const;
};

// out[row] += sum of values[entry] * x[column] over the entries of every row, in T's ring; x (columns, channels),
// out (rows, channels).
template <class T>
void multiply_add(const Pattern& pattern, const T* values, const T* x, int64_t channels, int threads, T* out);

}  // namespace moiety::mpc
