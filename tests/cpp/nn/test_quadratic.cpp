// Every ISA level against the formula in double: both layouts, both dtypes, lengths around the vectors', guarded ends,
// and outputs large enough to be written past the cache.
#include "nn/quadratic.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "core/cpu.hpp"

namespace {

using moiety::nn::Bf16;
using moiety::nn::ChannelShape;

constexpr float guard = 7.0f;

float load(float v) { return v; }
float load(Bf16 v) { return std::bit_cast<float>(static_cast<uint32_t>(v.bits) << 16); }
template <class T>
T make(float v) {
    if constexpr (std::is_same_v<T, float>)
        return v;
    else
        return Bf16{static_cast<uint16_t>(std::bit_cast<uint32_t>(v) >> 16)};
}

// Multiples of 1/64 in [-2, 2), exact in both dtypes.
struct Sequence {
    uint64_t state;
    float next() {
        state = state * uint64_t{6364136223846793005} + 1442695040888963407;
        return static_cast<float>(static_cast<int64_t>(state >> 56) - 128) / 64.0f;
    }
};

template <class T>
std::vector<T> draw(int64_t n, uint64_t seed) {
    Sequence s{seed};
    std::vector<T> v(static_cast<size_t>(n));
    for (T& x : v) x = make<T>(s.next());
    return v;
}

bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }

template <class T>
bool is_right(const ChannelShape& s, bool per_channel, bool hinge, int threads, int64_t offset) {
    const double rounding = std::is_same_v<T, float> ? 1e-6 : 1.0 / 256;
    const int64_t n = s.size(), width = per_channel ? s.channels : 1;
    const auto x = draw<T>(n + offset, 1), dy = draw<T>(n + offset, 2);
    const auto w1 = draw<float>(width, 3), w2 = draw<float>(width, 4), b = draw<float>(1, 5), r = draw<float>(width, 6);
    const moiety::nn::Coefficients c{w1, w2, b, hinge ? std::span<const float>(r) : std::span<const float>()};
    std::vector<T> y(static_cast<size_t>(n + offset + 1), make<T>(guard)), dx = y;
    std::vector<float> d1(w1.size()), d2(w2.size()), d0(1), dr(hinge ? r.size() : 0);
    moiety::nn::quadratic_forward<T>(s, x.data() + offset, c, y.data() + offset, threads);
    moiety::nn::quadratic_backward<T>(s, x.data() + offset, dy.data() + offset, c, dx.data() + offset, {d1, d2, d0, dr},
                                      threads);

    bool ok = load(y.back()) == guard && load(dx.back()) == guard;
    for (int64_t i = 0; i < offset; ++i)
        ok = ok && load(y[static_cast<size_t>(i)]) == guard && load(dx[static_cast<size_t>(i)]) == guard;
    std::vector<double> e1(w1.size()), e2(w2.size()), e0(1), er(r.size());
    for (int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>(i + offset);
        const int64_t channel = s.channels_last ? i % s.channels : i / s.inner % s.channels;
        const auto j = static_cast<size_t>(per_channel ? channel : 0);
        const double v = load(x[at]), g = load(dy[at]), a1 = w1[j], a2 = w2[j], a0 = b[0], h = hinge ? r[j] : 0;
        const double positive = v > 0 ? 1 : 0;
        ok = ok && close(load(y[at]), (a1 * v + a2) * v + a0 + h * v * positive, rounding);
        ok = ok && close(load(dx[at]), g * (2 * a1 * v + a2 + h * positive), rounding);
        e1[j] += g * v * v, e2[j] += g * v, e0[0] += g, er[j] += g * v * positive;
    }
    for (size_t j = 0; j < e1.size(); ++j)
        ok = ok && close(d1[j], e1[j], 1e-5) && close(d2[j], e2[j], 1e-5) && (!hinge || close(dr[j], er[j], 1e-5));
    return ok && close(d0[0], e0[0], 1e-5);
}

template <class T>
void every_shape() {
    for (int64_t channels : {1, 2, 3, 8, 16, 24, 33})
        for (int64_t inner : {1, 2, 7, 15, 16, 17, 64, 100})
            for (bool last : {false, true})
                for (bool per_channel : {false, true})
                    for (bool hinge : {false, true})
                        EXPECT(is_right<T>({3, channels, inner, last}, per_channel, hinge, 2, (channels + inner) % 3));
    for (bool last : {false, true}) {
        EXPECT(is_right<T>({2, 5, 40000, last}, true, true, 3, 0));
        EXPECT(is_right<T>({1, 40, 120000, last}, true, true, 2, 0));
        EXPECT(is_right<T>({1, 40, 120000, last}, false, false, 2, 1));
    }
}

}  // namespace

int main() {
    const moiety::Isa widest = moiety::isa();
    for (auto level : {moiety::Isa::scalar, moiety::Isa::avx2, moiety::Isa::avx512}) {
        if (level > widest) continue;
        moiety::set_isa(level);
        every_shape<float>();
        every_shape<Bf16>();
    }
    std::vector<float> two(2), one(1);
    const ChannelShape shape{1, 3, 4, false};
    EXPECT_THROWS(moiety::nn::quadratic_forward<float>(shape, two.data(), {two, one, one, {}}, two.data(), 1));
    EXPECT_THROWS(
        moiety::nn::quadratic_forward<float>({1, 0, 4, false}, two.data(), {one, one, one, {}}, two.data(), 1));
    EXPECT_THROWS(moiety::nn::quadratic_backward<float>({0, 3, 4, false}, two.data(), two.data(), {one, one, one, {}},
                                                        two.data(), {two, one, one, {}}, 1));
    return moiety::test::report();
}
