// clang-format off: the kernels are written over the vectors included before them
#include "ring/vector_avx512.hpp"
#include "ring/gemm_kernel.hpp"
// clang-format on

namespace moiety::ring {

template <>
const GemmKernels<uint32_t>& gemm_avx512<uint32_t>() {
    return gemm_table<uint32_t>;
}
template <>
const GemmKernels<uint64_t>& gemm_avx512<uint64_t>() {
    return gemm_table<uint64_t>;
}

}  // namespace moiety::ring
