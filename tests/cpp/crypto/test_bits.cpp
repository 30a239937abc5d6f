// Planes and packed bytes against their definitions, for every path that this CPU has.
#include "check.hpp"
#include "core/cpu.hpp"
#include "crypto/bits.hpp"
#include "crypto/prg.hpp"

#include <vector>

using namespace moiety;
using namespace moiety::crypto;

namespace {

template <class T>
std::vector<T> random_elements(int64_t n, uint64_t seed) {
    std::vector<T> x(static_cast<size_t>(n));
    Prg(Block{9}, seed).fill(std::span(x));
    return x;
}

template <class T>
void planes(int64_t n, int first, int count) {
    const auto x = random_elements<T>(n, static_cast<uint64_t>(n * 64 + count));
    const int64_t words = words_for(n), stride = words + (n % 3);
    constexpr uint64_t untouched = 0xA5A5A5A5A5A5A5A5;
    std::vector<uint64_t> got(static_cast<size_t>(stride * count + 8), untouched);
    to_planes(x.data(), n, first, count, got.data(), stride);
    bool right = true;
    for (int64_t j = 0; j < count; ++j) {
        for (int64_t w = 0; w < stride; ++w) {
            uint64_t want = w < words ? 0 : untouched;
            for (int64_t i = 64 * w; i < std::min(n, 64 * w + 64); ++i)
                want |= ((static_cast<uint64_t>(x[static_cast<size_t>(i)]) >> (first + j)) & 1) << (i % 64);
            right &= got[static_cast<size_t>(j * stride + w)] == want;
        }
    }
    for (size_t i = static_cast<size_t>(stride * count); i < got.size(); ++i) right &= got[i] == untouched;
    EXPECT(right);

    // Dirty bits past n must not leak into the elements.
    if (n % 64 != 0)
        for (int64_t j = 0; j < count; ++j)
            got[static_cast<size_t>(j * stride + words - 1)] |= ~uint64_t{0} << (n % 64);
    std::vector<T> back(static_cast<size_t>(n + 8), T{0x77});
    from_planes(got.data(), stride, n, count, back.data());
    const T mask = count == 8 * static_cast<int>(sizeof(T)) ? ~T{0} : static_cast<T>((T{1} << count) - 1);
    bool equal = true;
    for (int64_t i = 0; i < n; ++i)
        equal &= back[static_cast<size_t>(i)] ==
                 (count == 0 ? T{0} : static_cast<T>((x[static_cast<size_t>(i)] >> first) & mask));
    for (size_t i = static_cast<size_t>(n); i < back.size(); ++i) equal &= back[i] == T{0x77};
    EXPECT(equal);
}

template <class T>
void packing(int64_t n, int bytes) {
    const auto x = random_elements<T>(n, static_cast<uint64_t>(n * 8 + bytes));
    std::vector<uint8_t> got(static_cast<size_t>(n * bytes) + 64, uint8_t{0xEE});
    pack(x.data(), n, bytes, got.data());
    bool right = true;
    for (int64_t i = 0; i < n * bytes; ++i)
        right &=
            got[static_cast<size_t>(i)] == static_cast<uint8_t>(x[static_cast<size_t>(i / bytes)] >> (8 * (i % bytes)));
    for (size_t i = static_cast<size_t>(n * bytes); i < got.size(); ++i) right &= got[i] == 0xEE;
    EXPECT(right);
    // Exactly as long as it must be, so that a sanitizer sees a read past the end.
    const std::vector<uint8_t> exact(got.begin(), got.begin() + n * bytes);
    std::vector<T> back(static_cast<size_t>(n + 8), T{0x77});
    unpack(exact.data(), n, bytes, back.data());
    const T mask = static_cast<T>(~T{0} >> (8 * (static_cast<int>(sizeof(T)) - bytes)));
    bool equal = true;
    for (int64_t i = 0; i < n; ++i)
        equal &= back[static_cast<size_t>(i)] == static_cast<T>(x[static_cast<size_t>(i)] & mask);
    for (size_t i = static_cast<size_t>(n); i < back.size(); ++i) equal &= back[i] == T{0x77};
    EXPECT(equal);
}

template <class T>
void all() {
    constexpr int width = 8 * static_cast<int>(sizeof(T));
    for (const int64_t n : {0, 1, 7, 8, 9, 31, 63, 64, 65, 127, 128, 130, 511, 512, 513, 600, 1031, 1600}) {
        for (int count = 0; count <= width; count += n > 200 ? 5 : 1) planes<T>(n, (width - count) / 2, count);
        planes<T>(n, 0, width);
        planes<T>(n, 0, 24);
        planes<T>(n, width - 1, 1);
        for (int bytes = 1; bytes <= static_cast<int>(sizeof(T)); ++bytes) packing<T>(n, bytes);
    }
    for (int64_t n = 0; n < 100; ++n)
        for (int bytes = 1; bytes <= static_cast<int>(sizeof(T)); ++bytes) packing<T>(n, bytes);
    T x[4] = {};
    uint64_t p[64] = {};
    uint8_t b[64] = {};
    EXPECT_THROWS(to_planes(x, 4, 1, width, p, 1));
    EXPECT_THROWS(to_planes(x, 4, -1, 2, p, 1));
    EXPECT_THROWS(to_planes(x, 65, 0, 2, p, 1));
    EXPECT_THROWS(from_planes(p, 1, 4, width + 1, x));
    EXPECT_THROWS(pack(x, 4, 0, b));
    EXPECT_THROWS(unpack(b, 4, static_cast<int>(sizeof(T)) + 1, x));
}

}  // namespace

int main() {
    for (const Isa level : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if ((level == Isa::avx2 && !cpu_features().avx2) || (level == Isa::avx512 && !cpu_features().avx512)) continue;
        set_isa(level);
        all<uint32_t>();
        all<uint64_t>();
    }
    return test::report();
}
