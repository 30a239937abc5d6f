#include "crypto/aes_kernel.hpp"

namespace moiety::crypto {

const AesKernels aes_aesni = AesKernel<Lane1>::table;

}  // namespace moiety::crypto
