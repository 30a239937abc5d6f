// clang-format off: the kernel is written over the vectors included before it
#include "ring/vector_avx512.hpp"
#include "ring/csr_kernel.hpp"
// clang-format on

namespace moiety::ring {

template <>
void csr_rows_avx512<uint32_t>(const CsrPattern& p, const uint32_t* values, const uint32_t* x, int64_t ldx, uint32_t* y,
                               int64_t ldy, int64_t width, bool accumulate, int64_t begin, int64_t end) {
    csr_rows(p, values, x, ldx, y, ldy, width, accumulate, begin, end);
}
template <>
void csr_rows_avx512<uint64_t>(const CsrPattern& p, const uint64_t* values, const uint64_t* x, int64_t ldx, uint64_t* y,
                               int64_t ldy, int64_t width, bool accumulate, int64_t begin, int64_t end) {
    csr_rows(p, values, x, ldx, y, ldy, width, accumulate, begin, end);
}

}  // namespace moiety::ring
