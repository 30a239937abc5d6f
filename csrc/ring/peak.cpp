#include "ring/peak.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

#include "core/cpu.hpp"
#include "ring/peak_kernels.hpp"

namespace moiety::ring {
namespace {

template <class T>
int64_t multiply_registers_scalar(int64_t rounds, T* sink) {
    std::array<T, 8> chain{3, 5, 7, 9, 11, 13, 15, 17};
    for (int64_t r = 0; r < rounds; ++r)
        for (T& value : chain) value *= value;
    for (T value : chain) *sink += value;
    return static_cast<int64_t>(chain.size());
}

template <class T>
int64_t multiply_registers(int64_t rounds, T* sink) {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return multiply_registers_avx512<T>(rounds, sink);
    if (isa() == Isa::avx2) return multiply_registers_avx2<T>(rounds, sink);
#endif
    return multiply_registers_scalar<T>(rounds, sink);
}

}  // namespace

template <class T>
double measure_multiplier_peak() {
    using Clock = std::chrono::steady_clock;
    constexpr int64_t rounds = 200'000;
    volatile T kept = 0;
    double best = 0;
    // The best of several short runs: a run that the operating system interrupts says nothing of the multiplier.
    for (int repeat = 0; repeat < 20; ++repeat) {
        T sink = 0;
        const auto start = Clock::now();
        const int64_t products = multiply_registers<T>(rounds, &sink);
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        kept = sink;
        best = std::max(best, static_cast<double>(products * rounds) / seconds);
    }
    (void)kept;
    return best;
}

template double measure_multiplier_peak<uint32_t>();
template double measure_multiplier_peak<uint64_t>();

}  // namespace moiety::ring
