// The functions of bits.hpp that exist once per instruction set; arguments are checked before they get here.
// No other header, so that files compiled with wider flags instantiate nothing that the linker could share.
#pragma once

#include <cstdint>

namespace moiety::crypto {

template <class T>
struct BitsKernels {
    void (*to_planes)(const T* x, int64_t n, int first, int count, uint64_t* planes, int64_t stride);
    void (*from_planes)(const uint64_t* planes, int64_t stride, int64_t n, int count, T* x);
    void (*pack)(const T* x, int64_t n, int bytes, uint8_t* out);
    void (*unpack)(const uint8_t* in, int64_t n, int bytes, T* x);
};

extern const BitsKernels<uint32_t> bits_avx2_u32, bits_vbmi_u32;
extern const BitsKernels<uint64_t> bits_avx2_u64, bits_vbmi_u64;

}  // namespace moiety::crypto
