// Distributed comparison function over n bits with a one-bit output: two keys for a secret threshold alpha
// such that eval(0, x) XOR eval(1, x) = [x < alpha] for every x in [0, 2^n), and neither key alone says
// anything of alpha. Construction: Boyle et al., Eurocrypt 2021 (section 3), GGM tree with the last levels
// terminated early in a 128-bit block of output bits.
#pragma once

#include <cstdint>
#include <span>

#include "crypto/secrets.hpp"

namespace moiety::crypto {

// Bytes of the correction words of one key of an n-bit comparison, common to both parties; closed formula.
int64_t dcf_correction_bytes(int n);

// For `count` thresholds: corrections receives count * dcf_correction_bytes(n) bytes. The roots are the
// parties' own 16-byte seeds, one an instance (from generators that the dealer shares with each party).
// alpha[i] < 2^n; 1 <= n <= 63. threads <= 0: default_threads().
void dcf_generate(int n, std::span<const uint64_t> alpha, std::span<const Block> root0,
                  std::span<const Block> root1, std::span<uint8_t> corrections, int threads);

// out: bit i%64 of word i/64 is the share of [x[i] < alpha_i] of `party` (0 or 1). x[i] < 2^n.
void dcf_evaluate(int party, int n, std::span<const uint64_t> x, std::span<const Block> roots,
                  std::span<const uint8_t> corrections, std::span<uint64_t> out, int threads);

}  // namespace moiety::crypto
