// The vector paths against the scalar reference, accumulation included; shapes that validate() must refuse.
#include <cstdint>
#include <vector>

#include "check.hpp"
#include "core/cpu.hpp"
#include "ring/conv.hpp"

namespace {

using moiety::ring::ConvShape;

uint64_t state = 1;
uint64_t next() { return state = state * 6364136223846793005u + 1442695040888963407u; }
int64_t pick(int64_t low, int64_t high) {
    return low + static_cast<int64_t>((next() >> 33) % static_cast<uint64_t>(high - low + 1));
}

ConvShape random_shape() {
    for (;;) {
        ConvShape s;
        s.batch = pick(1, 3);
        s.groups = pick(1, 4);
        s.in_channels = s.groups * pick(1, 5);
        s.out_channels = s.groups * pick(1, 9);
        s.transposed = pick(0, 1) == 1;
        for (size_t d = static_cast<size_t>(pick(0, 2)); d < 3; ++d) {
            s.in[d] = pick(1, 12);
            s.kernel[d] = pick(1, 4);
            s.stride[d] = pick(1, 3);
            s.padding[d] = pick(0, 3);
            s.dilation[d] = pick(1, 2);
            if (s.transposed) s.output_padding[d] = pick(0, s.stride[d] - 1);
        }
        const auto out = s.out();
        if (out[0] > 0 && out[1] > 0 && out[2] > 0) return s;
    }
}

template <class T>
void compare(moiety::Isa level, const ConvShape& s) {
    std::vector<T> x(static_cast<size_t>(s.in_size())), w(static_cast<size_t>(s.weight_size()));
    std::vector<T> y(static_cast<size_t>(s.out_size()));
    for (auto* v : {&x, &w, &y})
        for (T& e : *v) e = static_cast<T>(next());
    for (bool accumulate : {false, true}) {
        std::vector<T> expected = y, got = y;
        moiety::set_isa(moiety::Isa::scalar);
        moiety::ring::conv(x.data(), w.data(), expected.data(), s, accumulate, 1);
        moiety::set_isa(level);
        moiety::ring::conv(x.data(), w.data(), got.data(), s, accumulate, 1 + accumulate);
        EXPECT(expected == got);
    }
}

void refusals() {
    ConvShape s;
    s.validate();
    const auto refused = [](auto change) {
        ConvShape bad;
        change(bad);
        EXPECT_THROWS(bad.validate());
    };
    refused([](ConvShape& b) { b.batch = 0; });
    refused([](ConvShape& b) { b.groups = 2; });
    refused([](ConvShape& b) { b.kernel[2] = 2; });
    refused([](ConvShape& b) { b.stride[0] = 0; });
    refused([](ConvShape& b) { b.padding[1] = -1; });
    refused([](ConvShape& b) { b.output_padding[1] = 1; });
    refused([](ConvShape& b) { b.in = {1, int64_t{1} << 40, int64_t{1} << 40}; });
    refused([](ConvShape& b) { b.kernel[1] = b.dilation[1] = b.in[1] = int64_t{1} << 39; });
}

}  // namespace

int main() {
    const moiety::Isa widest = moiety::isa();
    for (int i = 0; i < 150; ++i) {
        const ConvShape s = random_shape();
        for (auto level : {moiety::Isa::avx2, moiety::Isa::avx512}) {
            if (level > widest) continue;
            compare<uint32_t>(level, s);
            compare<uint64_t>(level, s);
        }
    }
    refusals();
    return moiety::test::report();
}
