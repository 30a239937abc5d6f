// Bit-matrix transposes by shifts and masks, for the portable paths. Word is uint64_t or a vector of them,
// each lane a matrix of its own.
#pragma once

#include <cstdint>

namespace moiety::crypto {

// Transposes the 8x8 matrix whose row j is byte j: bit i of byte j becomes bit j of byte i.
template <class Word>
inline Word transpose8(Word v) {
    Word t = (v ^ (v >> 7)) & 0x00AA00AA00AA00AAULL;
    v ^= t ^ (t << 7);
    t = (v ^ (v >> 14)) & 0x0000CCCC0000CCCCULL;
    v ^= t ^ (t << 14);
    t = (v ^ (v >> 28)) & 0x00000000F0F0F0F0ULL;
    return v ^ t ^ (t << 28);
}

// Transposes the 8x8 matrix of bytes whose row j is word j.
template <class Word>
inline void transpose8_bytes(Word (&a)[8]) {
    constexpr uint64_t masks[3] = {0x00FF00FF00FF00FFULL, 0x0000FFFF0000FFFFULL, 0x00000000FFFFFFFFULL};
    for (int level = 0; level < 3; ++level) {
        const int step = 1 << level, shift = 8 * step;
        for (int i = 0; i < 8; ++i) {
            if (i & step) continue;
            const Word t = ((a[i] >> shift) ^ a[i + step]) & masks[level];
            a[i] ^= t << shift;
            a[i + step] ^= t;
        }
    }
}

// Transposes a 64x64 bit matrix: bit j of word i becomes bit i of word j (Hacker's Delight, 7-3).
inline void transpose64(uint64_t (&a)[64]) {
    uint64_t mask = 0x00000000FFFFFFFFULL;
    for (int step = 32; step > 0; step >>= 1, mask ^= mask << step) {
        for (int i = 0; i < 64; i = (i + step + 1) & ~step) {
            const uint64_t t = ((a[i] >> step) ^ a[i + step]) & mask;
            a[i] ^= t << step;
            a[i + step] ^= t;
        }
    }
}

}  // namespace moiety::crypto
