// The functions of AesKernels over a lane of aes_lane.hpp: eight registers at a time, then one, then the last
// blocks through a padded register.
#pragma once

#include "crypto/aes_kernels.hpp"
#include "crypto/aes_lane.hpp"

namespace moiety::crypto {
namespace {

template <class L>
struct AesKernel {
    using Vec = typename L::Vec;
    static constexpr int width = 16 * L::blocks;

    template <int K>
    static void encrypt_tile(const RoundKeys<L>& keys, const uint8_t* in, uint8_t* out) {
        Vec v[K];
        for (int k = 0; k < K; ++k) v[k] = L::load(in + width * k);
        keys.encrypt(v);
        for (int k = 0; k < K; ++k) L::store(out + width * k, v[k]);
    }

    template <int K>
    static void counter_tile(const RoundKeys<L>& keys, Vec& counter, uint8_t* out) {
        Vec v[K];
        for (int k = 0; k < K; ++k) {
            v[k] = counter;
            counter = L::add64(counter, L::counter_step());
        }
        keys.encrypt(v);
        for (int k = 0; k < K; ++k) L::store(out + width * k, v[k]);
    }

    template <int K>
    static void tmmo_tile(const RoundKeys<L>& keys, Vec& tweak, const uint8_t* in, uint8_t* out) {
        Vec inner[K], outer[K];
        for (int k = 0; k < K; ++k) inner[k] = L::load(in + width * k);
        keys.encrypt(inner);
        for (int k = 0; k < K; ++k) {
            outer[k] = L::exclusive_or(inner[k], tweak);
            tweak = L::add64(tweak, L::counter_step());
        }
        keys.encrypt(outer);
        for (int k = 0; k < K; ++k) L::store(out + width * k, L::exclusive_or(outer[k], inner[k]));
    }

    static void copy(uint8_t* to, const uint8_t* from, int64_t bytes) {
        __builtin_memcpy(to, from, static_cast<unsigned long>(bytes));
    }

    static void encrypt(const uint8_t* round_keys, const uint8_t* in, uint8_t* out, int64_t blocks) {
        const RoundKeys<L> keys(round_keys);
        for (; blocks >= 8 * L::blocks; blocks -= 8 * L::blocks, in += 8 * width, out += 8 * width)
            encrypt_tile<8>(keys, in, out);
        for (; blocks >= L::blocks; blocks -= L::blocks, in += width, out += width) encrypt_tile<1>(keys, in, out);
        if (blocks > 0) {
            alignas(64) uint8_t padded[64] = {};
            copy(padded, in, 16 * blocks);
            encrypt_tile<1>(keys, padded, padded);
            copy(out, padded, 16 * blocks);
        }
    }

    static void counter(const uint8_t* round_keys, uint64_t nonce, uint64_t first, uint8_t* out, int64_t blocks) {
        const RoundKeys<L> keys(round_keys);
        Vec at = L::counters(first, nonce);
        for (; blocks >= 8 * L::blocks; blocks -= 8 * L::blocks, out += 8 * width) counter_tile<8>(keys, at, out);
        for (; blocks >= L::blocks; blocks -= L::blocks, out += width) counter_tile<1>(keys, at, out);
        if (blocks > 0) {
            alignas(64) uint8_t padded[64];
            counter_tile<1>(keys, at, padded);
            copy(out, padded, 16 * blocks);
        }
    }

    static void tmmo(const uint8_t* round_keys, const uint8_t* x, uint64_t first, uint8_t* out, int64_t blocks) {
        const RoundKeys<L> keys(round_keys);
        Vec tweak = L::counters(first, 0);
        for (; blocks >= 8 * L::blocks; blocks -= 8 * L::blocks, x += 8 * width, out += 8 * width)
            tmmo_tile<8>(keys, tweak, x, out);
        for (; blocks >= L::blocks; blocks -= L::blocks, x += width, out += width) tmmo_tile<1>(keys, tweak, x, out);
        if (blocks > 0) {
            alignas(64) uint8_t padded[64] = {};
            copy(padded, x, 16 * blocks);
            tmmo_tile<1>(keys, tweak, padded, padded);
            copy(out, padded, 16 * blocks);
        }
    }

    static constexpr AesKernels table = {encrypt, counter, tmmo};
};

}  // namespace
}  // namespace moiety::crypto
