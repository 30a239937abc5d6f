// clang-format off: the kernels are written over the vectors included before them
#include "graph/vector_avx2.hpp"
#include "hypergraph/smooth_kernel.hpp"
// clang-format on

namespace moiety::hypergraph {

template <>
const SmoothKernels<float>& smooth_avx2() {
    return smooth_kernels<float>;
}
template <>
const SmoothKernels<double>& smooth_avx2() {
    return smooth_kernels<double>;
}
template <>
const SmoothKernels<uint64_t>& smooth_avx2() {
    return smooth_kernels<uint64_t>;
}

}  // namespace moiety::hypergraph
