// AES-128 in counter mode as a pseudo-random generator: block i of stream (key, nonce) is AES_key(nonce ||
// i), the 64-bit nonce in the high half and the 64-bit little-endian counter i in the low half of the input
// block. Paths: portable constant-time AES, AES-NI, VAES; all give the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "crypto/aes.hpp"
#include "crypto/secrets.hpp"

namespace moiety::crypto {

class Prg {
  public:
    Prg(const Block& key, uint64_t nonce);

    // The next bytes of the stream; consecutive calls continue where the last one ended (byte-exact).
    void fill(std::span<uint8_t> out);
    template <class T>
    void fill(std::span<T> out) {
        static_assert(std::is_trivially_copyable_v<T>);
        fill(std::span<uint8_t>(reinterpret_cast<uint8_t*>(out.data()), out.size_bytes()));
    }
    // Moves to byte `offset` of the stream.
    void seek(uint64_t offset);

  private:
    AesKey key_;
    uint64_t nonce_;
    uint64_t offset_ = 0;
};

}  // namespace moiety::crypto
