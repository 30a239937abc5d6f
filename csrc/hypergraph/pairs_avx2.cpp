#include "hypergraph/pairs_kernel.hpp"

namespace moiety::hypergraph {

template <>
const PairsKernels<float>& pairs_avx2() {
    return pairs_kernels<float>;
}
template <>
const PairsKernels<double>& pairs_avx2() {
    return pairs_kernels<double>;
}

}  // namespace moiety::hypergraph
