#include "crypto/prg.hpp"

#include <algorithm>
#include <cstring>

namespace moiety::crypto {

Prg::Prg(const Block& key, uint64_t nonce) : key_(aes_expand_key(key)), nonce_(nonce) {}

void Prg::seek(uint64_t offset) { offset_ = offset; }

void Prg::fill(std::span<uint8_t> out) {
    uint8_t* to = out.data();
    uint64_t left = out.size();
    // The head of a block that the last call began, then whole blocks in place, then the head of the last
    // block.
    while (left > 0) {
        const uint64_t block = offset_ / 16, skip = offset_ % 16;
        uint64_t done;
        if (skip == 0 && left >= 16) {
            done = left / 16 * 16;
            aes_counter(key_, nonce_, block, to, static_cast<int64_t>(done / 16));
        } else {
            uint8_t bytes[16];
            aes_counter(key_, nonce_, block, bytes, 1);
            done = std::min(left, 16 - skip);
            std::memcpy(to, bytes + skip, done);
        }
        to += done;
        left -= done;
        offset_ += done;
    }
}

}  // namespace moiety::crypto
