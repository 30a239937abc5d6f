#include "topology/image_kernel.hpp"

namespace moiety::topology {

template <>
const ImageKernels<float>& image_avx2() {
    return ImageKernel<float, 32>::table;
}
template <>
const ImageKernels<double>& image_avx2() {
    return ImageKernel<double, 32>::table;
}

}  // namespace moiety::topology
