// SHA-256 (FIPS 180-4) of a byte string in hexadecimal, for golden transcripts. Tests only: not constant time.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace moiety::test {

// The first 32 bits of the fractional part of the square or cube root of x < 2^9: the low bits of the largest r with
// r^root <= x 2^(32 root).
inline uint32_t fraction_of_root(uint32_t x, int root) {
    __extension__ using Wide = unsigned __int128;
    const Wide target = static_cast<Wide>(x) << (32 * root);
    uint64_t low = 0, high = uint64_t{1} << 37;
    while (high - low > 1) {
        const uint64_t middle = (low + high) / 2;
        const Wide square = static_cast<Wide>(middle) * middle;
        ((root == 2 ? square : square * middle) > target ? high : low) = middle;
    }
    return static_cast<uint32_t>(low);
}

inline std::string sha256(std::vector<uint8_t> message) {
    std::array<uint32_t, 8> state{};
    std::array<uint32_t, 64> constants{};
    size_t primes = 0;
    for (uint32_t x = 2; primes < 64; ++x) {
        bool prime = true;
        for (uint32_t d = 2; d * d <= x; ++d) prime &= x % d != 0;
        if (!prime) continue;
        if (primes < 8) state[primes] = fraction_of_root(x, 2);
        constants[primes++] = fraction_of_root(x, 3);
    }
    const uint64_t bits = 8 * static_cast<uint64_t>(message.size());
    message.push_back(0x80);
    while (message.size() % 64 != 56) message.push_back(0);
    for (int i = 7; i >= 0; --i) message.push_back(static_cast<uint8_t>(bits >> (8 * i)));
    for (size_t block = 0; block < message.size(); block += 64) {
        std::array<uint32_t, 64> w{};
        for (size_t i = 0; i < 64; ++i) {
            if (i < 16) {
                for (size_t j = 0; j < 4; ++j) w[i] = w[i] << 8 | message[block + 4 * i + j];
                continue;
            }
            const uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] + (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
        }
        auto [a, b, c, d, e, f, g, h] = state;
        for (size_t i = 0; i < 64; ++i) {
            const uint32_t first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
            const uint32_t second = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + first, d = c, c = b, b = a, a = first + second;
        }
        const std::array<uint32_t, 8> added{a, b, c, d, e, f, g, h};
        for (size_t i = 0; i < 8; ++i) state[i] += added[i];
    }
    std::string text;
    for (uint32_t word : state)
        for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
    return text;
}

}  // namespace moiety::test
