// clang-format off: the kernel is written over the vectors included before it
#include <type_traits>

#include "nn/vector_avx512.hpp"
#include "nn/quadratic_kernel.hpp"
// clang-format on

namespace moiety::nn {

template <>
const QuadraticKernels<float>& quadratic_avx512<float>() {
    return quadratic_table<float>;
}
template <>
const QuadraticKernels<Bf16>& quadratic_avx512<Bf16>() {
    return quadratic_table<Bf16>;
}

}  // namespace moiety::nn
