// clang-format off: the kernel is written over the vectors included before it
#include <type_traits>

#include "nn/vector_avx2.hpp"
#include "nn/quadratic_kernel.hpp"
// clang-format on

namespace moiety::nn {

template <>
const QuadraticKernels<float>& quadratic_avx2<float>() {
    return quadratic_table<float>;
}
template <>
const QuadraticKernels<Bf16>& quadratic_avx2<Bf16>() {
    return quadratic_table<Bf16>;
}

}  // namespace moiety::nn
