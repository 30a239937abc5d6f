#include "mpc/kernels_impl.hpp"

namespace moiety::mpc {

using Vector = uint64_t __attribute__((vector_size(64)));
extern const Kernels kernels_avx512;
const Kernels kernels_avx512 = make_kernels<Vector>();

}  // namespace moiety::mpc
