#include "ring/fixed_point.hpp"

#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "ring/fixed_point_kernels.hpp"

namespace moiety::ring {
namespace {

constexpr int64_t grain = int64_t{1} << 15;

template <class T, class F>
int64_t encode_scalar(const F* x, double factor, T* out, int64_t n) {
    const double half = std::ldexp(1.0, 8 * sizeof(T) - 1);
    for (int64_t i = 0; i < n; ++i) {
        const double scaled = static_cast<double>(x[i]) * factor;
        const double rounded = std::nearbyint(scaled);
        if (!(rounded >= -half && rounded < half)) return i;  // the form that is true of NaN
        out[i] = static_cast<T>(static_cast<int64_t>(rounded));
    }
    return n;
}

template <class T, class F>
void decode_scalar(const T* x, double factor, F* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        out[i] = static_cast<F>(static_cast<double>(static_cast<std::make_signed_t<T>>(x[i])) * factor);
}

template <class T>
void check_fraction_bits(const char* name, int fraction_bits) {
    constexpr int width = 8 * sizeof(T);
    check(fraction_bits >= 0 && fraction_bits < width, name, ": expected 0 <= fraction_bits < ", width, ", got ",
          fraction_bits);
}

}  // namespace

template <class T, class F>
void encode(std::span<const F> x, int fraction_bits, std::span<T> out, int threads) {
    check_fraction_bits<T>("encode", fraction_bits);
    check(x.size() == out.size(), "encode: expected equal sizes, got ", x.size(), " and ", out.size());
    const double factor = std::ldexp(1.0, fraction_bits);
    const auto n = static_cast<int64_t>(x.size());
    std::atomic<int64_t> first_bad{n};
    parallel_for(n, grain, threads, [&](int64_t begin, int64_t end) {
        int64_t stopped = 0;
#if defined(__x86_64__)
        if (isa() == Isa::avx512)
            stopped = encode_avx512<T, F>(x.data() + begin, factor, out.data() + begin, end - begin);
        else
#endif
            stopped = encode_scalar<T, F>(x.data() + begin, factor, out.data() + begin, end - begin);
        if (stopped == end - begin) return;
        int64_t known = first_bad.load();
        while (begin + stopped < known && !first_bad.compare_exchange_weak(known, begin + stopped)) {
        }
    });
    const int64_t bad = first_bad.load();
    if (bad == n) return;
    const F value = x[static_cast<size_t>(bad)];
    constexpr int width = 8 * sizeof(T);
    check(std::isfinite(value), "encode: expected finite values, got ", value, " at flat index ", bad);
    check(false, "encode: expected values in [-2^", width - 1 - fraction_bits, ", 2^", width - 1 - fraction_bits,
          ") for ", fraction_bits, " fraction bits in a ", width, "-bit ring, got ", value, " at flat index ", bad);
}

template <class T, class F>
void decode(std::span<const T> x, int fraction_bits, std::span<F> out, int threads) {
    check_fraction_bits<T>("decode", fraction_bits);
    check(x.size() == out.size(), "decode: expected equal sizes, got ", x.size(), " and ", out.size());
    const double factor = std::ldexp(1.0, -fraction_bits);
    parallel_for(static_cast<int64_t>(x.size()), grain, threads, [&](int64_t begin, int64_t end) {
#if defined(__x86_64__)
        if (isa() == Isa::avx512) return decode_avx512<T, F>(x.data() + begin, factor, out.data() + begin, end - begin);
#endif
        decode_scalar<T, F>(x.data() + begin, factor, out.data() + begin, end - begin);
    });
}

template void encode(std::span<const float>, int, std::span<uint32_t>, int);
template void encode(std::span<const float>, int, std::span<uint64_t>, int);
template void encode(std::span<const double>, int, std::span<uint32_t>, int);
template void encode(std::span<const double>, int, std::span<uint64_t>, int);
template void decode(std::span<const uint32_t>, int, std::span<float>, int);
template void decode(std::span<const uint64_t>, int, std::span<float>, int);
template void decode(std::span<const uint32_t>, int, std::span<double>, int);
template void decode(std::span<const uint64_t>, int, std::span<double>, int);

}  // namespace moiety::ring
