// The level steps of DcfKernels over a lane of aes_lane.hpp. Registers of one group are taken a few at a
// time, each with all its AES calls of the level, so that eight to twelve are in flight.
#pragma once

#include "crypto/aes_lane.hpp"
#include "crypto/dcf_kernels.hpp"

namespace moiety::crypto {
namespace {

template <class L>
struct DcfKernel {
    using Vec = typename L::Vec;
    static constexpr int width = 16 * L::blocks;
    static constexpr int registers = 64 / L::blocks;  // of a group

    static void evaluate(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds, const uint64_t* x,
                         const uint64_t* t, const uint8_t* corrections, uint64_t* bits) {
        constexpr int K = 4;
        const RoundKeys<L> keys(round_keys);
        const Vec left = L::low_word(tweak), one = L::low_word(1), two = L::low_word(2);
        for (int g = 0; g < groups; ++g, seeds += 1024, corrections += 1024, bits += 3) {
            Vec control[registers];
            for (int j = 0; j < registers; j += K) {
                // v[k] on the way to the child, v[K + k] to the control bits.
                Vec in[2 * K], v[2 * K];
                for (int k = 0; k < K; ++k) {
                    const Vec seed = L::exclusive_or(L::load(seeds + width * (j + k)), left);
                    v[k] = in[k] = L::exclusive_or(seed, L::where(x[g], j + k, one));
                    v[K + k] = in[K + k] = L::exclusive_or(seed, two);
                }
                keys.encrypt(v);
                for (int k = 0; k < K; ++k) {
                    const Vec correction = L::where(t[g], j + k, L::load(corrections + width * (j + k)));
                    L::store(seeds + width * (j + k), L::exclusive_or(L::exclusive_or(v[k], in[k]), correction));
                    control[j + k] = L::exclusive_or(v[K + k], in[K + k]);
                }
            }
            L::low_bits(control, bits);
        }
    }

    static void generate(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds0, uint8_t* seeds1,
                         const uint64_t* alpha, const uint64_t* t0, const uint64_t* t1, uint8_t* corrections,
                         uint64_t* bits0, uint64_t* bits1) {
        const RoundKeys<L> keys(round_keys);
        const Vec left = L::low_word(tweak), one = L::low_word(1), two = L::low_word(2);
        for (int g = 0; g < groups; ++g) {
            Vec control0[registers], control1[registers];
            for (int j = 0; j < registers; j += 2) {
                // For each of two registers: keep, lose, control bits of party 0, then of party 1.
                Vec in[12], v[12];
                for (int k = 0; k < 2; ++k) {
                    const Vec side = L::where(alpha[g], j + k, one);
                    const int at = width * (j + k);
                    for (int p = 0; p < 2; ++p) {
                        const Vec seed = L::exclusive_or(L::load((p == 0 ? seeds0 : seeds1) + at), left);
                        Vec* to = in + 6 * k + 3 * p;
                        to[0] = L::exclusive_or(seed, side);
                        to[1] = L::exclusive_or(to[0], one);
                        to[2] = L::exclusive_or(seed, two);
                    }
                }
                for (int k = 0; k < 12; ++k) v[k] = in[k];
                keys.encrypt(v);
                for (int k = 0; k < 12; ++k) v[k] = L::exclusive_or(v[k], in[k]);
                for (int k = 0; k < 2; ++k) {
                    const Vec* h = v + 6 * k;
                    const int at = width * (j + k);
                    const Vec correction = L::exclusive_or(h[1], h[4]);
                    L::store(corrections + at, correction);
                    L::store(seeds0 + at, L::exclusive_or(h[0], L::where(t0[g], j + k, correction)));
                    L::store(seeds1 + at, L::exclusive_or(h[3], L::where(t1[g], j + k, correction)));
                    control0[j + k] = h[2];
                    control1[j + k] = h[5];
                }
            }
            L::low_bits(control0, bits0);
            L::low_bits(control1, bits1);
            seeds0 += 1024;
            seeds1 += 1024;
            corrections += 1024;
            bits0 += 3;
            bits1 += 3;
        }
    }

    static void last(const uint8_t* round_keys, uint64_t tweak, int groups, uint8_t* seeds) {
        constexpr int K = 8;
        const RoundKeys<L> keys(round_keys);
        const Vec three = L::low_word(tweak | 3);
        for (int j = 0; j < registers * groups; j += K, seeds += K * width) {
            Vec in[K], v[K];
            for (int k = 0; k < K; ++k) v[k] = in[k] = L::exclusive_or(L::load(seeds + width * k), three);
            keys.encrypt(v);
            for (int k = 0; k < K; ++k) L::store(seeds + width * k, L::exclusive_or(v[k], in[k]));
        }
    }

    static constexpr DcfKernels table = {evaluate, generate, last};
};

}  // namespace
}  // namespace moiety::crypto
