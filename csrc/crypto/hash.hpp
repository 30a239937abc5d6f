// Tweakable circular correlation-robust hash from a fixed-key permutation pi = AES-128 under a public
// constant:
//
//     H(x, i) = pi(pi(x) ^ i) ^ pi(x),
//
// the construction TMMO of Guo, Katz, Wang and Yu, "Efficient and secure multiparty computation from
// fixed-key block ciphers", IEEE S&P 2020 (ePrint 2019/074). In the ideal-permutation model H(x ^ Delta, i)
// looks random to whoever knows every x and i but not the offset Delta; with q calls and p evaluations of pi
// the advantage is of order (p q + q^2) / 2^128. The tweak i is a 64-bit number in the low half of the block;
// a caller never repeats one for the same secret offset.
//
// Two AES calls a block; time depends on the number of blocks only.
#pragma once

#include <cstdint>
#include <span>

#include "crypto/secrets.hpp"

namespace moiety::crypto {

// out[i] = H(x[i], first_tweak + i), the tweak modulo 2^64. Sizes equal; `x` and `out` the same or disjoint.
void hash(std::span<const Block> x, uint64_t first_tweak, std::span<Block> out);

}  // namespace moiety::crypto
