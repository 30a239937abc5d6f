#include "mpc/kernels.hpp"

#include "core/cpu.hpp"
#include "mpc/kernels_impl.hpp"

namespace moiety::mpc {

#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

const Kernels& kernels() {
    static const Kernels base = make_kernels<uint64_t>();
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return kernels_avx512;
    if (isa() == Isa::avx2) return kernels_avx2;
#endif
    return base;
}

}  // namespace moiety::mpc
