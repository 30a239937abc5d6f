// clang-format off: the kernels are written over the vectors included before them
#include "graph/vector_avx2.hpp"
#include "graph/softmax_kernel.hpp"
// clang-format on

namespace moiety::graph {

const SoftmaxKernels& softmax_avx2() { return softmax_table; }

}  // namespace moiety::graph
