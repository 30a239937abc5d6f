#include "topology/image_kernel.hpp"

namespace moiety::topology {

template <>
const ImageKernels<float>& image_avx512() {
    return ImageKernel<float, 64>::table;
}
template <>
const ImageKernels<double>& image_avx512() {
    return ImageKernel<double, 64>::table;
}

}  // namespace moiety::topology
