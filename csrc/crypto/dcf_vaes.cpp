#include "crypto/dcf_kernel.hpp"

namespace moiety::crypto {

const DcfKernels dcf_vaes = DcfKernel<Lane4>::table;

}  // namespace moiety::crypto
