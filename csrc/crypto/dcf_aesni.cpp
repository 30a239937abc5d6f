#include "crypto/dcf_kernel.hpp"

namespace moiety::crypto {

const DcfKernels dcf_aesni = DcfKernel<Lane1>::table;

}  // namespace moiety::crypto
