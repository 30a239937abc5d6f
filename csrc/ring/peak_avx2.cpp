// clang-format off: the kernel is written over the vectors included before it
#include "ring/vector_avx2.hpp"
#include "ring/peak_kernel.hpp"
// clang-format on

namespace moiety::ring {

template <>
int64_t multiply_registers_avx2<uint32_t>(int64_t rounds, uint32_t* sink) {
    return multiply_registers(rounds, sink);
}
template <>
int64_t multiply_registers_avx2<uint64_t>(int64_t rounds, uint64_t* sink) {
    return multiply_registers(rounds, sink);
}

}  // namespace moiety::ring
