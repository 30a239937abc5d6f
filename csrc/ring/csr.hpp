// Y = S X, or Y += S X, with a public sparse matrix S in compressed rows and dense X in Z_2^32 or Z_2^64.
//
// Row i of S has its entries at positions e in [row_start[i], row_start[i+1]): column[e] and values[e], or 1 when
// `values` is null. The pattern is public: indices steer addresses. Duplicate columns add up. One row of Y stays in
// registers, a few vectors at a time, while the row's entries pass by.
#pragma once

#include <cstdint>

namespace moiety::ring {

struct CsrPattern {
    int64_t rows = 0, columns = 0;
    const int64_t* row_start = nullptr;  // rows + 1 entries
    const int64_t* column = nullptr;     // row_start[rows] entries

    // Throws Error unless row_start rises from 0 to `entries` and every column lies in [0, columns).
    void validate(int64_t entries) const;
};

// x: columns x width with row stride ldx; y: rows x width with ldy; they must not overlap. The pattern must be valid:
// it is not looked through on every product. threads <= 0: default_threads().
template <class T>
void csr_product(const CsrPattern& pattern, const T* values, const T* x, int64_t ldx, T* y, int64_t ldy, int64_t width,
                 bool accumulate, int threads);

}  // namespace moiety::ring
