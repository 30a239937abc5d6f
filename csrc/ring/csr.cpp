#include "ring/csr.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "ring/csr_kernels.hpp"

namespace moiety::ring {
namespace {

template <class T>
void csr_rows_scalar(const CsrPattern& p, const T* values, const T* x, int64_t ldx, T* y, int64_t ldy, int64_t width,
                     bool accumulate, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
        T* target = y + i * ldy;
        if (!accumulate) std::fill(target, target + width, T{0});
        for (int64_t e = p.row_start[i]; e < p.row_start[i + 1]; ++e) {
            const T factor = values == nullptr ? T{1} : values[e];
            const T* source = x + p.column[e] * ldx;
            for (int64_t j = 0; j < width; ++j) target[j] += factor * source[j];
        }
    }
}

}  // namespace

void CsrPattern::validate(int64_t entries) const {
    check(rows >= 0 && columns >= 0, "csr: expected rows and columns >= 0, got ", rows, " and ", columns);
    check(row_start[0] == 0 && row_start[rows] == entries, "csr: expected row_start from 0 to ", entries, ", got ",
          row_start[0], " to ", row_start[rows]);
    for (int64_t i = 0; i < rows; ++i)
        check(row_start[i] <= row_start[i + 1], "csr: expected row_start not to fall, got ", row_start[i], " then ",
              row_start[i + 1], " at row ", i);
    for (int64_t e = 0; e < entries; ++e)
        check(column[e] >= 0 && column[e] < columns, "csr: expected columns in [0, ", columns, "), got ", column[e],
              " at entry ", e);
}

template <class T>
void csr_product(const CsrPattern& p, const T* values, const T* x, int64_t ldx, T* y, int64_t ldy, int64_t width,
                 bool accumulate, int threads) {
    check(width >= 0 && ldx >= width && ldy >= width, "csr_product: expected row strides >= width, got ldx=", ldx,
          " ldy=", ldy, " width=", width);
    const int64_t work = p.rows == 0 ? 1 : 1 + p.row_start[p.rows] * width / p.rows;  // mean of a row
    parallel_for(p.rows, 1 + 16384 / work, threads, [&](int64_t begin, int64_t end) {
#if defined(__x86_64__)
        if (isa() == Isa::avx512) return csr_rows_avx512(p, values, x, ldx, y, ldy, width, accumulate, begin, end);
        if (isa() == Isa::avx2) return csr_rows_avx2(p, values, x, ldx, y, ldy, width, accumulate, begin, end);
#endif
        csr_rows_scalar(p, values, x, ldx, y, ldy, width, accumulate, begin, end);
    });
}

template void csr_product(const CsrPattern&, const uint32_t*, const uint32_t*, int64_t, uint32_t*, int64_t, int64_t,
                          bool, int);
template void csr_product(const CsrPattern&, const uint64_t*, const uint64_t*, int64_t, uint64_t*, int64_t, int64_t,
                          bool, int);

}  // namespace moiety::ring
