// clang-format off: the kernel is written over the vectors included before it
#include "graph/vector_avx512.hpp"
#include "graph/sddmm_kernel.hpp"
// clang-format on

namespace moiety::graph {

#define MOIETY_SDDMM(T)                      \
    template <>                              \
    SddmmKernel<T, int32_t> sddmm_avx512() { \
        return sddmm_rows<T, int32_t>;       \
    }                                        \
    template <>                              \
    SddmmKernel<T, int64_t> sddmm_avx512() { \
        return sddmm_rows<T, int64_t>;       \
    }

MOIETY_SDDMM(float)
MOIETY_SDDMM(double)
MOIETY_SDDMM(Bf16)
#undef MOIETY_SDDMM

}  // namespace moiety::graph
