// The AES functions that exist once per instruction set. Plain pointers and no other header, so that files
// compiled with wider flags instantiate nothing that the linker could share with the rest of the library.
#pragma once

#include <cstdint>

namespace moiety::crypto {

struct AesKernels {
    void (*encrypt)(const uint8_t* round_keys, const uint8_t* in, uint8_t* out, int64_t blocks);
    void (*counter)(const uint8_t* round_keys, uint64_t nonce, uint64_t first, uint8_t* out, int64_t blocks);
    // out_i = pi(pi(x_i) ^ (first + i)) ^ pi(x_i), pi = AES under the round keys.
    void (*tmmo)(const uint8_t* round_keys, const uint8_t* x, uint64_t first, uint8_t* out, int64_t blocks);
};

// The fastest set that cpu() allows.
const AesKernels& aes_kernels();

extern const AesKernels aes_portable;
extern const AesKernels aes_aesni;
extern const AesKernels aes_vaes;

}  // namespace moiety::crypto
