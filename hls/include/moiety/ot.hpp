// Bit products from correlated oblivious transfer: shares of u r mod 2^bits for u at the sender, r at the receiver.
//
// The 128-bit correlation t_i = q_i ^ r_i Delta is there (q_i and Delta at the sender, r_i and t_i at the receiver).
// With the pads m0 = H(q_i, i), m1 = H(q_i ^ Delta, i), of which the receiver can make the one that r_i chooses, H(t_i,
// i):
//     the sender sends d = u + m0 - m1 and keeps -m0, the receiver keeps H(t_i, i) + r d      (low `bits` of each)
// which is what a `bit_product` correlation is (csrc/mpc/correlation.hpp). A tweak serves once for one Delta.
#pragma once

#include <moiety/aes.hpp>

namespace moiety {

inline void ot_sender(hls::stream<block>& rows, block delta, word first_tweak, hls::stream<word>& inputs, int n,
                      int bits, hls::stream<word>& corrections, hls::stream<word>& share) {
    const AesKey pi = hash_key();
    const word mask = word(~word(0)) >> (64 - bits);
    word u = 0;
pads:
    for (int i = 0; i < n; ++i) {
#pragma HLS PIPELINE II = 1
        if ((i & 63) == 0) u = inputs.read();
        const block q = rows.read();
        const word tweak = word(first_tweak + i);
        const word m0 = word(hash(pi, q, tweak)), m1 = word(hash(pi, block(q ^ delta), tweak));
        corrections.write(word(word((u >> (i & 63)) & 1) + m0 - m1) & mask);
        share.write(word(0 - m0) & mask);
    }
}

inline void ot_receiver(hls::stream<block>& rows, word first_tweak, hls::stream<word>& choices,
                        hls::stream<word>& corrections, int n, int bits, hls::stream<word>& share) {
    const AesKey pi = hash_key();
    const word mask = word(~word(0)) >> (64 - bits);
    word r = 0;
pads:
    for (int i = 0; i < n; ++i) {
#pragma HLS PIPELINE II = 1
        if ((i & 63) == 0) r = choices.read();
        const word pad = word(hash(pi, rows.read(), word(first_tweak + i))), d = corrections.read();
        const bool chosen = ((r >> (i & 63)) & 1) != 0;
        share.write((chosen ? word(pad + d) : pad) & mask);
    }
}

}  // namespace moiety
