// clang-format off: the kernels are written over the vectors included before them
#include "graph/vector_avx512.hpp"
#include "graph/gat_kernel.hpp"
// clang-format on

namespace moiety::graph {

#define MOIETY_GAT(T)                            \
    template <>                                  \
    const GatKernels<T, int32_t>& gat_avx512() { \
        return gat_table<T, int32_t>;            \
    }                                            \
    template <>                                  \
    const GatKernels<T, int64_t>& gat_avx512() { \
        return gat_table<T, int64_t>;            \
    }

MOIETY_GAT(float)
MOIETY_GAT(Bf16)
#undef MOIETY_GAT

}  // namespace moiety::graph
