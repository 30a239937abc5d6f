#include "ring/gemm.hpp"

#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "ring/blocked.hpp"
#include "ring/strassen.hpp"

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

// Extent from which seven products of half the size and their additions take less time than eight products.
constexpr int64_t worth_splitting = 384;
constexpr int64_t few = 4;                        // rows or columns that do not pay for packing
constexpr int64_t worthwhile = int64_t{1} << 18;  // products of a range: below, a thread costs more than it saves

template <class T>
void gemm_vector(const GemmKernels<T>& kernels, const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc,
                 int64_t m, int64_t n, int64_t k, bool accumulate, int threads) {
    if (n <= few && k > 1) {
        Buffer<T> columns(n * k);
        for (int64_t p = 0; p < k; ++p)
            for (int64_t j = 0; j < n; ++j) columns[j * k + p] = b[p * ldb + j];
        parallel_for(m, 1 + worthwhile / (n * k), threads, [&](int64_t begin, int64_t end) {
            kernels.few_columns(a + begin * lda, lda, columns.data(), c + begin * ldc, ldc, end - begin, n, k,
                                accumulate);
        });
    } else if (m <= few) {
        // Ranges start at whole cache lines of a row of C.
        constexpr int64_t line = 64 / sizeof(T);
        parallel_for((n + line - 1) / line, 1 + worthwhile / (m * k * line), threads, [&](int64_t begin, int64_t end) {
            const int64_t first = begin * line, count = std::min(end * line, n) - first;
            kernels.few_rows(a, lda, b + first, ldb, c + first, ldc, m, count, k, accumulate);
        });
    } else {
        std::vector<int64_t> offset(static_cast<size_t>(k));
        for (int64_t p = 0; p < k; ++p) offset[static_cast<size_t>(p)] = p * ldb;
        const Segment whole{0, n, 0, 0};
        BlockedProduct<T> product;
        product.m = m;
        product.k = k;
        product.a = a;
        product.a_row = lda;
        product.b = b;
        product.b_offset = offset.data();
        product.c = c;
        product.c_row = ldc;
        product.segments = {&whole, 1};
        product.accumulate = accumulate;
        blocked_product(product, kernels, threads);
    }
}

}  // namespace

template <class T>
const GemmKernels<T>* gemm_kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return &gemm_avx512<T>();
    if (isa() == Isa::avx2) return &gemm_avx2<T>();
#endif
    return nullptr;
}

template const GemmKernels<uint32_t>* gemm_kernels();
template const GemmKernels<uint64_t>* gemm_kernels();

template <class T>
void gemm(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
          bool accumulate, int threads) {
    check(m >= 0 && n >= 0 && k >= 0, "gemm: expected extents >= 0, got m=", m, " n=", n, " k=", k);
    check(lda >= k && ldb >= n && ldc >= n, "gemm: expected row strides lda >= k, ldb >= n, ldc >= n, got lda=", lda,
          " ldb=", ldb, " ldc=", ldc, " with m=", m, " n=", n, " k=", k);
    if (m == 0 || n == 0) return;
    const GemmKernels<T>* kernels = gemm_kernels<T>();
    if (kernels != nullptr && !accumulate && std::min({m, n, k}) >= worth_splitting) {
        // An odd last row, column or step of k is left over for the ordinary product.
        const int64_t em = m / 2 * 2, en = n / 2 * 2, ek = k / 2 * 2;
        strassen(a, lda, b, ldb, c, ldc, em, en, ek, threads);
        if (ek < k) gemm_vector(*kernels, a + ek, lda, b + ek * ldb, ldb, c, ldc, em, en, k - ek, true, threads);
        if (en < n) gemm_vector(*kernels, a, lda, b + en, ldb, c + en, ldc, em, n - en, k, false, threads);
        if (em < m) gemm_vector(*kernels, a + em * lda, lda, b, ldb, c + em * ldc, ldc, m - em, n, k, false, threads);
        return;
    }
    if (kernels != nullptr && k > 0) return gemm_vector(*kernels, a, lda, b, ldb, c, ldc, m, n, k, accumulate, threads);
    parallel_for(m, 1 + worthwhile / (n * std::max<int64_t>(k, 1)), threads, [&](int64_t begin, int64_t end) {
        gemm_scalar(a + begin * lda, lda, b, ldb, c + begin * ldc, ldc, end - begin, n, k, accumulate);
    });
}

template void gemm(const uint32_t*, int64_t, const uint32_t*, int64_t, uint32_t*, int64_t, int64_t, int64_t, int64_t,
                   bool, int);
template void gemm(const uint64_t*, int64_t, const uint64_t*, int64_t, uint64_t*, int64_t, int64_t, int64_t, int64_t,
                   bool, int);

}  // namespace moiety::ring
