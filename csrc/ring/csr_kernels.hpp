// The kernels behind csr.cpp, one an instruction set: rows [begin, end) of the product.
#pragma once

#include "ring/csr.hpp"

namespace moiety::ring {

template <class T>
void csr_rows_avx2(const CsrPattern& pattern, const T* values, const T* x, int64_t ldx, T* y, int64_t ldy,
                   int64_t width, bool accumulate, int64_t begin, int64_t end);
template <class T>
void csr_rows_avx512(const CsrPattern& pattern, const T* values, const T* x, int64_t ldx, T* y, int64_t ldy,
                     int64_t width, bool accumulate, int64_t begin, int64_t end);

}  // namespace moiety::ring
