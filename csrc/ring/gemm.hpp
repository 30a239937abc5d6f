// C = A * B, or C += A * B, in Z_2^32 or Z_2^64 (T = uint32_t or uint64_t), row-major, any shape.
#pragma once

#include <cstdint>

namespace moiety::ring {

// a: m x k with row stride lda, b: k x n with ldb, c: m x n with ldc; strides in elements. k = 0 gives zero
// (or leaves C when accumulating). threads <= 0: default_threads(). A and B must not overlap C.
template <class T>
void gemm(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
          bool accumulate, int threads);

extern template void gemm(const uint32_t*, int64_t, const uint32_t*, int64_t, uint32_t*, int64_t, int64_t, int64_t,
                          int64_t, bool, int);
extern template void gemm(const uint64_t*, int64_t, const uint64_t*, int64_t, uint64_t*, int64_t, int64_t, int64_t,
                          int64_t, bool, int);

}  // namespace moiety::ring
