// AES-128 encryption (FIPS 197) of many independent blocks under one key; there is no decryption, counter
// mode and the fixed-key hash need none.
//
// Paths, chosen at run time, all giving the same bytes: AES-NI with 8 blocks in flight, VAES with 4 blocks a
// register and 8 registers in flight, and a bitsliced portable one. Every path runs in time that depends on
// the number of blocks only: no table is indexed by, and no branch taken on, keys or blocks.
#pragma once

#include <array>
#include <cstdint>

#include "crypto/secrets.hpp"

namespace moiety::crypto {

// The eleven round keys, one after another in the byte order of FIPS 197.
struct AesKey {
    alignas(64) std::array<uint8_t, 11 * 16> bytes;
};

AesKey aes_expand_key(const Block& key);

// out = AES_key(in) block by block; `in` and `out` are 16 * blocks bytes, the same or disjoint.
void aes_encrypt(const AesKey& key, const uint8_t* in, uint8_t* out, int64_t blocks);

// Block i of out = AES_key(first + i || nonce): the 64-bit little-endian counter in the low half (bytes 0 to
// 7), the nonce in the high half. The counter wraps modulo 2^64.
void aes_counter(const AesKey& key, uint64_t nonce, uint64_t first, uint8_t* out, int64_t blocks);

}  // namespace moiety::crypto
