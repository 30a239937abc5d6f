// One level of the comparison trees for whole groups of 64 instances; the only part of the DCF that exists
// once per instruction set. No other header, so that files compiled with wider flags instantiate nothing that
// the linker could share.
//
// Seeds and corrections are 16 bytes an instance. The control bits, path bits and results of a group are
// words, bit i for instance i. `tweak` is 4*level. bits[3*g + c] receives bit c of H_{level,2} of group g's
// instances.
#pragma once

#include <cstdint>

namespace moiety::crypto {

struct DcfKernels {
    // s <- H_{level,x}(s) ^ t S for one party.
    void (*evaluate)(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds, const uint64_t* x,
                     const uint64_t* t, const uint8_t* corrections, uint64_t* bits);
    // S = d(s^lose), then s_p <- s_p^keep ^ t_p S for both parties.
    void (*generate)(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds0, uint8_t* seeds1,
                     const uint64_t* alpha, const uint64_t* t0, const uint64_t* t1, uint8_t* corrections,
                     uint64_t* bits0, uint64_t* bits1);
    // s <- H_{level,3}(s).
    void (*last)(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds);
};

extern const DcfKernels dcf_portable;
extern const DcfKernels dcf_aesni;
extern const DcfKernels dcf_vaes;

}  // namespace moiety::crypto
