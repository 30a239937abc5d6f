// clang-format off: the kernel is written over the vectors included before it
#include "graph/vector_avx2.hpp"
#include "graph/gate_kernel.hpp"
// clang-format on

namespace moiety::graph {

GateKernel gate_avx2() { return gate_rows; }

}  // namespace moiety::graph
