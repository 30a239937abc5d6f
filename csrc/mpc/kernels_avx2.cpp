#include "mpc/kernels_impl.hpp"

namespace moiety::mpc {

using Vector = uint64_t __attribute__((vector_size(32)));
extern const Kernels kernels_avx2;
const Kernels kernels_avx2 = make_kernels<Vector>();

}  // namespace moiety::mpc
