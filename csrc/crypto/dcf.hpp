// Distributed comparison function over n bits with a one-bit output: two keys for a secret threshold alpha
// such that eval(0, x) XOR eval(1, x) = [x < alpha] for every x in [0, 2^n), and neither key alone says
// anything of alpha.
//
// Construction: Boyle, Chandran, Gilboa, Gupta, Ishai, Kumar, Rathee, "Function secret sharing for mixed-mode
// and fixed-point secure computation", Eurocrypt 2021 (section 3), output group Z_2, early termination as in
// Boyle, Gilboa, Ishai, "Function secret sharing: improvements and extensions", CCS 2016. Write alpha =
// alpha_1 ... alpha_n and x = x_1 ... x_n, first bit the highest; m = min(n, 7), L = n - m levels, and 2^m <=
// 128 output bits in a last block.
//
//   Generator. G(s) = (s^0, s^1, b): with tweak c = 4*level + j in the low half of a block,
//       H_level,j(s) = pi(s ^ c) ^ s ^ c,   s^0 = H_level,0(s), s^1 = H_level,1(s), b = H_level,2(s),
//   and b's bits 0, 1, 2 are t^0, t^1, v. The last block is F(s) = H_L,3(s). pi is AES-128 under a public
//   constant.
//
//   Generation, for each level i = 1..L, from (s_0, t_0 = 0), (s_1, t_1 = 1) at the roots, alpha_0 = 0, with
//   keep = alpha_i, lose = 1 - alpha_i, d(y) = y_0 ^ y_1 for any output y of the parties' generators:
//       S_i = d(s^lose),  T_i^0 = d(t^0) ^ alpha_i ^ 1,  T_i^1 = d(t^1) ^ alpha_i,  V_i = d(v) ^ alpha_{i-1}
//       ^ alpha_i, s_p <- s_p^keep ^ t_p S_i,   t_p <- t_p^keep ^ t_p T_i^keep.
//   Last: W = F(s_0) ^ F(s_1) ^ ([j < alpha_{L+1} ... alpha_n])_{j < 128} ^ (alpha_L, ..., alpha_L).
//
//   Evaluation: from s = root, t = party, r = 0, at each level r <- r ^ v ^ t V_i, then s <- s^{x_i} ^ t S_i
//   and t <- t^{x_i} ^ t T_i^{x_i}; the result is r ^ (bit x_{L+1} ... x_n of F(s) ^ t W).
//
//   Right: on alpha's path t_0 ^ t_1 = 1, so level i makes r_0 ^ r_1 = alpha_i, which is [x < alpha] for the
//   x that leave the path there; off it both parties are in the same state and nothing is added. One v serves
//   both children: V_i leaves the lost child with its result and the kept one with alpha_i, which V_{i+1} or
//   W takes out again.
//
// Security: seeds have all 128 bits, control bits come from an evaluation of their own. With pi an ideal
// permutation, each S, T, V, W is masked by an output of G at a seed that its party does not know, so a key
// is indistinguishable from a root and uniform bits; for q seeds over all keys ever made and p evaluations of
// pi the advantage is of order (p q + q^2) / 2^128. Distinct tweaks separate the children, the bits, the last
// block and the levels (fixed-key hashing as in Guo, Katz, Wang, Yu, IEEE S&P 2020; G needs no correlation
// robustness, since no two seeds differ by an offset that the other party chose). Roots must be fresh,
// uniform and used for one threshold. No branch or index depends on alpha, seeds or control bits; x is public
// (an opened, masked value) and does choose.
//
// Layout: instances in tiles of 256, the last one ragged; tile k begins at byte 256 * k *
// dcf_correction_bytes(n). A tile of m instances holds S_1 of its instances (16 m bytes), ..., S_L, then W,
// then planes of m bytes, one byte an instance: bit q % 8 of byte q / 8 of an instance is T_i^0, T_i^1, V_i
// for q = 3 (i-1), 3 (i-1) + 1, 3 (i-1) + 2. So every level of a tile is one contiguous read, and a batch can
// be cut at multiples of 256 instances.
#pragma once

#include <cstdint>
#include <span>

#include "crypto/secrets.hpp"

namespace moiety::crypto {

// Bytes of the correction words of one key of an n-bit comparison, common to both parties:
// 16 (L + 1) + ceil(3 L / 8) with L = max(0, n - 7).
int64_t dcf_correction_bytes(int n);

// For `count` thresholds: corrections receives count * dcf_correction_bytes(n) bytes. The roots are the
// parties' own 16-byte seeds, one an instance (from generators that the dealer shares with each party).
// alpha[i] < 2^n; 1 <= n <= 63. threads <= 0: default_threads().
void dcf_generate(int n, std::span<const uint64_t> alpha, std::span<const Block> root0, std::span<const Block> root1,
                  std::span<uint8_t> corrections, int threads);

// out: bit i%64 of word i/64 is the share of [x[i] < alpha_i] of `party` (0 or 1); words_for(count) words,
// the bits past count zero. x[i] < 2^n.
void dcf_evaluate(int party, int n, std::span<const uint64_t> x, std::span<const Block> roots,
                  std::span<const uint8_t> corrections, std::span<uint64_t> out, int threads);

}  // namespace moiety::crypto
