#include "graph/csr.hpp"

#include <algorithm>

#include "core/buffer.hpp"
#include "core/check.hpp"

namespace moiety::graph {
namespace {

// Turns counts, start[k + 1] of key k, into first positions, start[k]; start[keys] becomes the total.
void accumulate(int64_t* start, int64_t keys) {
    for (int64_t k = 0; k < keys; ++k) start[k + 1] += start[k];
}

// After positions have been handed out from start[k] upwards, start[k] is what start[k + 1] was.
void shift_back(int64_t* start, int64_t keys) {
    for (int64_t k = keys; k > 0; --k) start[k] = start[k - 1];
    if (keys >= 0) start[0] = 0;
}

void check_nodes(const char* what, const int64_t* node, int64_t edges, int64_t nodes) {
    for (int64_t e = 0; e < edges; ++e)
        check(node[e] >= 0 && node[e] < nodes, "graph: expected ", what, " nodes in [0, ", nodes, "), got ", node[e],
              " at edge ", e);
}

}  // namespace

template <class I>
void validate(const Csr<I>& csr, int64_t edges) {
    check(csr.rows >= 0 && csr.columns >= 0, "graph: expected rows and columns >= 0, got ", csr.rows, " and ",
          csr.columns);
    check(csr.row_start[0] == 0 && csr.row_start[csr.rows] == edges, "graph: expected row_start from 0 to ", edges,
          ", got ", csr.row_start[0], " to ", csr.row_start[csr.rows]);
    for (int64_t i = 0; i < csr.rows; ++i)
        check(csr.row_start[i] <= csr.row_start[i + 1], "graph: expected row_start not to fall, got ", csr.row_start[i],
              " then ", csr.row_start[i + 1], " at row ", i);
    I least = 0, most = -1;  // vectorised; who it was is looked for only when somebody was wrong
    for (int64_t e = 0; e < edges; ++e) {
        least = std::min(least, csr.column[e]);
        most = std::max(most, csr.column[e]);
    }
    if (least >= 0 && most < csr.columns) return;
    for (int64_t e = 0; e < edges; ++e)
        check(csr.column[e] >= 0 && csr.column[e] < csr.columns, "graph: expected columns in [0, ", csr.columns,
              "), got ", csr.column[e], " at entry ", e);
}

template <class I>
void build(const int64_t* target, const int64_t* source, int64_t edges, int64_t rows, int64_t columns,
           int64_t* row_start, I* column, int64_t* order) {
    check_nodes("target", target, edges, rows);
    check_nodes("source", source, edges, columns);
    Buffer<int64_t> column_start(columns + 1), by_source(edges);
    std::fill(column_start.data(), column_start.data() + columns + 1, 0);
    for (int64_t e = 0; e < edges; ++e) ++column_start[source[e] + 1];
    accumulate(column_start.data(), columns);
    for (int64_t e = 0; e < edges; ++e) by_source[column_start[source[e]]++] = e;

    std::fill(row_start, row_start + rows + 1, 0);
    for (int64_t e = 0; e < edges; ++e) ++row_start[target[e] + 1];
    accumulate(row_start, rows);
    for (int64_t k = 0; k < edges; ++k) {
        const int64_t e = by_source[k], position = row_start[target[e]]++;
        column[position] = static_cast<I>(source[e]);
        order[position] = e;
    }
    shift_back(row_start, rows);
}

template <class I>
void transpose(const Csr<I>& csr, int64_t* column_start, I* row, int64_t* entry) {
    std::fill(column_start, column_start + csr.columns + 1, 0);
    const int64_t edges = csr.edges();
    for (int64_t e = 0; e < edges; ++e) ++column_start[csr.column[e] + 1];
    accumulate(column_start, csr.columns);
    for (int64_t i = 0; i < csr.rows; ++i)
        for (int64_t e = csr.row_start[i]; e < csr.row_start[i + 1]; ++e) {
            const int64_t position = column_start[csr.column[e]]++;
            row[position] = static_cast<I>(i);
            entry[position] = e;
        }
    shift_back(column_start, csr.columns);
}

#define MOIETY_CSR(I)                                                                                       \
    template void validate(const Csr<I>&, int64_t);                                                         \
    template void build(const int64_t*, const int64_t*, int64_t, int64_t, int64_t, int64_t*, I*, int64_t*); \
    template void transpose(const Csr<I>&, int64_t*, I*, int64_t*)

MOIETY_CSR(int32_t);
MOIETY_CSR(int64_t);
#undef MOIETY_CSR

}  // namespace moiety::graph
