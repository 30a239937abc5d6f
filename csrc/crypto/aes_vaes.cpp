#include "crypto/aes_kernel.hpp"

namespace moiety::crypto {

const AesKernels aes_vaes = AesKernel<Lane4>::table;

}  // namespace moiety::crypto
