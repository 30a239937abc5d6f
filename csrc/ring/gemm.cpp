#include "ring/gemm.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/parallel.hpp"

namespace moiety::ring {
namespace {

// The reference: the definition, with the loops ordered so that B and C are read along their rows.
template <class T>
void gemm_scalar(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
                 bool accumulate) {
    for (int64_t i = 0; i < m; ++i) {
        T* row = c + i * ldc;
        if (!accumulate) std::fill(row, row + n, T{0});
        for (int64_t p = 0; p < k; ++p) {
            const T factor = a[i * lda + p];
            for (int64_t j = 0; j < n; ++j) row[j] += factor * b[p * ldb + j];
        }
    }
}

}  // namespace

template <class T>
void gemm(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
          bool accumulate, int threads) {
    check(m >= 0 && n >= 0 && k >= 0, "gemm: expected extents >= 0, got m=", m, " n=", n, " k=", k);
    check(lda >= k && ldb >= n && ldc >= n, "gemm: expected row strides lda >= k, ldb >= n, ldc >= n, got lda=", lda,
          " ldb=", ldb, " ldc=", ldc, " with m=", m, " n=", n, " k=", k);
    parallel_for(m, 1, threads, [&](int64_t begin, int64_t end) {
        gemm_scalar(a + begin * lda, lda, b, ldb, c + begin * ldc, ldc, end - begin, n, k, accumulate);
    });
}

template void gemm(const uint32_t*, int64_t, const uint32_t*, int64_t, uint32_t*, int64_t, int64_t, int64_t, int64_t,
                   bool, int);
template void gemm(const uint64_t*, int64_t, const uint64_t*, int64_t, uint64_t*, int64_t, int64_t, int64_t, int64_t,
                   bool, int);

}  // namespace moiety::ring
