// Randomness from the operating system, the only source of secrets. Linked per target (see CMakeLists.txt).
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace moiety::crypto {

using Block = std::array<uint8_t, 16>;  // 128 bits: keys, seeds, identifiers

// Fills `out` from getrandom(2), or /dev/urandom where that is missing. Throws Error when neither answers.
void random_bytes(std::span<uint8_t> out);
Block random_block();

}  // namespace moiety::crypto
