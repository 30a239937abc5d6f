// clang-format off: the kernels are written over the vectors included before them
#include "graph/vector_avx2.hpp"
#include "graph/spmm_kernel.hpp"
// clang-format on

namespace moiety::graph {

#define MOIETY_SPMM(T)                           \
    template <>                                  \
    const SpmmKernels<T, int32_t>& spmm_avx2() { \
        return spmm_kernels<T, int32_t>;         \
    }                                            \
    template <>                                  \
    const SpmmKernels<T, int64_t>& spmm_avx2() { \
        return spmm_kernels<T, int64_t>;         \
    }

MOIETY_SPMM(float)
MOIETY_SPMM(double)
MOIETY_SPMM(Bf16)
MOIETY_SPMM(uint32_t)
MOIETY_SPMM(uint64_t)
#undef MOIETY_SPMM

}  // namespace moiety::graph
