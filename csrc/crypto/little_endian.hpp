// 64-bit words in the byte order of every format here, whatever the machine.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace moiety::crypto {

inline uint64_t from_little_endian(uint64_t v) {
    if constexpr (std::endian::native == std::endian::little) {
        return v;
    } else {
        v = ((v >> 8) & 0x00FF00FF00FF00FFULL) | ((v & 0x00FF00FF00FF00FFULL) << 8);
        v = ((v >> 16) & 0x0000FFFF0000FFFFULL) | ((v & 0x0000FFFF0000FFFFULL) << 16);
        return (v >> 32) | (v << 32);
    }
}

inline uint64_t load64(const uint8_t* p) {
    uint64_t v;
    std::memcpy(&v, p, sizeof(v));
    return from_little_endian(v);
}

inline void store64(uint8_t* p, uint64_t v) {
    v = from_little_endian(v);  // its own inverse
    std::memcpy(p, &v, sizeof(v));
}

}  // namespace moiety::crypto
