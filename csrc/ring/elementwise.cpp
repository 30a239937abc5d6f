#include "ring/elementwise.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "ring/elementwise_kernels.hpp"

namespace moiety::ring {
namespace {

constexpr int64_t grain = int64_t{1} << 16;  // elements of a range: enough to pay for waking a thread

template <class T>
void binary_scalar(Binary op, const T* a, const T* b, T* out, int64_t n) {
    switch (op) {
        case Binary::add:
            for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
            break;
        case Binary::subtract:
            for (int64_t i = 0; i < n; ++i) out[i] = a[i] - b[i];
            break;
        case Binary::multiply:
            for (int64_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
            break;
    }
}

template <class T>
void multiply_add_scalar(const T* a, const T* b, const T* c, T* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = a[i] * b[i] + c[i];
}

template <class T>
void unary_scalar(Unary op, const T* a, T operand, T* out, int64_t n) {
    constexpr int width = 8 * sizeof(T);
    switch (op) {
        case Unary::scale:
            for (int64_t i = 0; i < n; ++i) out[i] = a[i] * operand;
            break;
        case Unary::negate:
            for (int64_t i = 0; i < n; ++i) out[i] = T{0} - a[i];
            break;
        case Unary::shift_left:
            for (int64_t i = 0; i < n; ++i) out[i] = a[i] << operand;
            break;
        case Unary::shift_right_logical:
            for (int64_t i = 0; i < n; ++i) out[i] = a[i] >> operand;
            break;
        case Unary::shift_right_arithmetic:
            // Flipping the sign bit moves the range to start at zero; shift there and move back.
            for (int64_t i = 0; i < n; ++i) {
                const T sign = T{1} << (width - 1);
                out[i] = ((a[i] ^ sign) >> operand) - (sign >> operand);
            }
            break;
    }
}

template <class T>
constexpr ElementwiseKernels<T> scalar_kernels{binary_scalar<T>, multiply_add_scalar<T>, unary_scalar<T>};

template <class T>
void run(const char* name, Binary op, std::span<const T> a, std::span<const T> b, std::span<T> out, int threads) {
    check(a.size() == b.size() && a.size() == out.size(), name, ": expected equal sizes, got a=", a.size(),
          " b=", b.size(), " out=", out.size());
    const ElementwiseKernels<T>& k = elementwise_kernels<T>();
    parallel_for(static_cast<int64_t>(a.size()), grain, threads, [&](int64_t begin, int64_t end) {
        k.binary(op, a.data() + begin, b.data() + begin, out.data() + begin, end - begin);
    });
}

template <class T>
void run(const char* name, Unary op, std::span<const T> a, T operand, std::span<T> out, int threads) {
    check(a.size() == out.size(), name, ": expected equal sizes, got a=", a.size(), " out=", out.size());
    const ElementwiseKernels<T>& k = elementwise_kernels<T>();
    parallel_for(static_cast<int64_t>(a.size()), grain, threads, [&](int64_t begin, int64_t end) {
        k.unary(op, a.data() + begin, operand, out.data() + begin, end - begin);
    });
}

template <class T>
void run_shift(const char* name, Unary op, std::span<const T> a, int bits, std::span<T> out, int threads) {
    constexpr int width = 8 * sizeof(T);
    check(bits >= 0 && bits < width, name, ": expected 0 <= bits < ", width, ", got ", bits);
    run(name, op, a, static_cast<T>(bits), out, threads);
}

}  // namespace

template <class T>
const ElementwiseKernels<T>& elementwise_kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return elementwise_avx512<T>();
    if (isa() == Isa::avx2) return elementwise_avx2<T>();
#endif
    return scalar_kernels<T>;
}

template const ElementwiseKernels<uint32_t>& elementwise_kernels();
template const ElementwiseKernels<uint64_t>& elementwise_kernels();

template <class T>
void add(std::span<const T> a, std::span<const T> b, std::span<T> out, int threads) {
    run("add", Binary::add, a, b, out, threads);
}

template <class T>
void subtract(std::span<const T> a, std::span<const T> b, std::span<T> out, int threads) {
    run("subtract", Binary::subtract, a, b, out, threads);
}

template <class T>
void multiply(std::span<const T> a, std::span<const T> b, std::span<T> out, int threads) {
    run("multiply", Binary::multiply, a, b, out, threads);
}

template <class T>
void multiply_add(std::span<const T> a, std::span<const T> b, std::span<const T> c, std::span<T> out, int threads) {
    check(a.size() == b.size() && a.size() == c.size() && a.size() == out.size(),
          "multiply_add: expected equal sizes, got a=", a.size(), " b=", b.size(), " c=", c.size(),
          " out=", out.size());
    const ElementwiseKernels<T>& k = elementwise_kernels<T>();
    parallel_for(static_cast<int64_t>(a.size()), grain, threads, [&](int64_t begin, int64_t end) {
        k.multiply_add(a.data() + begin, b.data() + begin, c.data() + begin, out.data() + begin, end - begin);
    });
}

template <class T>
void scale(std::span<const T> a, T factor, std::span<T> out, int threads) {
    run("scale", Unary::scale, a, factor, out, threads);
}

template <class T>
void negate(std::span<const T> a, std::span<T> out, int threads) {
    run("negate", Unary::negate, a, T{0}, out, threads);
}

template <class T>
void shift_left(std::span<const T> a, int bits, std::span<T> out, int threads) {
    run_shift("shift_left", Unary::shift_left, a, bits, out, threads);
}

template <class T>
void shift_right_logical(std::span<const T> a, int bits, std::span<T> out, int threads) {
    run_shift("shift_right_logical", Unary::shift_right_logical, a, bits, out, threads);
}

template <class T>
void shift_right_arithmetic(std::span<const T> a, int bits, std::span<T> out, int threads) {
    run_shift("shift_right_arithmetic", Unary::shift_right_arithmetic, a, bits, out, threads);
}

template <class T>
void sum(std::span<const T> x, int64_t outer, int64_t n, int64_t inner, std::span<T> out, int threads) {
    check(outer >= 0 && n >= 0 && inner >= 0 && static_cast<int64_t>(x.size()) == outer * n * inner &&
              static_cast<int64_t>(out.size()) == outer * inner,
          "sum: expected outer*n*inner inputs and outer*inner outputs, got ", x.size(), " and ", out.size(),
          " for outer=", outer, " n=", n, " inner=", inner);
    parallel_for(outer, std::max<int64_t>(1, grain / std::max<int64_t>(1, n * inner)), threads,
                 [&](int64_t begin, int64_t end) {
                     for (int64_t o = begin; o < end; ++o) {
                         const T* source = x.data() + o * n * inner;
                         T* target = out.data() + o * inner;
                         std::fill(target, target + inner, T{0});
                         if (inner == 1) {
                             T total{0};
                             for (int64_t j = 0; j < n; ++j) total += source[j];
                             *target = total;
                             continue;
                         }
                         for (int64_t j = 0; j < n; ++j)
                             for (int64_t i = 0; i < inner; ++i) target[i] += source[j * inner + i];
                     }
                 });
}

#define MOIETY_ELEMENTWISE(T)                                                                                  \
    template void add(std::span<const T>, std::span<const T>, std::span<T>, int);                              \
    template void subtract(std::span<const T>, std::span<const T>, std::span<T>, int);                         \
    template void multiply(std::span<const T>, std::span<const T>, std::span<T>, int);                         \
    template void multiply_add(std::span<const T>, std::span<const T>, std::span<const T>, std::span<T>, int); \
    template void scale(std::span<const T>, T, std::span<T>, int);                                             \
    template void negate(std::span<const T>, std::span<T>, int);                                               \
    template void shift_left(std::span<const T>, int, std::span<T>, int);                                      \
    template void shift_right_logical(std::span<const T>, int, std::span<T>, int);                             \
    template void shift_right_arithmetic(std::span<const T>, int, std::span<T>, int);                          \
    template void sum(std::span<const T>, int64_t, int64_t, int64_t, std::span<T>, int)

MOIETY_ELEMENTWISE(uint32_t);
MOIETY_ELEMENTWISE(uint64_t);
#undef MOIETY_ELEMENTWISE

}  // namespace moiety::ring
