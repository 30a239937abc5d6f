// clang-format off: the kernel is written over the vectors included before it
#include "ring/vector_avx2.hpp"
#include "ring/elementwise_kernel.hpp"
// clang-format on

namespace moiety::ring {

template <>
const ElementwiseKernels<uint32_t>& elementwise_avx2<uint32_t>() {
    return elementwise_table<uint32_t>;
}
template <>
const ElementwiseKernels<uint64_t>& elementwise_avx2<uint64_t>() {
    return elementwise_table<uint64_t>;
}

}  // namespace moiety::ring
