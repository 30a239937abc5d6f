#include "crypto/aes.hpp"

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "crypto/aes_kernels.hpp"

namespace moiety::crypto {

const AesKernels& aes_kernels() {
#if defined(__x86_64__)
    if (cpu().vaes) return aes_vaes;
    if (cpu().aesni) return aes_aesni;
#endif
    return aes_portable;
}

void aes_encrypt(const AesKey& key, const uint8_t* in, uint8_t* out, int64_t blocks) {
    check(blocks >= 0, "expected a number of blocks >= 0, got ", blocks);
    aes_kernels().encrypt(key.bytes.data(), in, out, blocks);
}

void aes_counter(const AesKey& key, uint64_t nonce, uint64_t first, uint8_t* out, int64_t blocks) {
    check(blocks >= 0, "expected a number of blocks >= 0, got ", blocks);
    aes_kernels().counter(key.bytes.data(), nonce, first, out, blocks);
}

}  // namespace moiety::crypto
