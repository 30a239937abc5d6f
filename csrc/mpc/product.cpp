#include "mpc/product.hpp"

#include <cstring>

#include "mpc/kernels.hpp"

namespace moiety::mpc {
namespace {

template <class T>
void check_size(const Request& request, size_t n) {
    check(request.n == static_cast<int64_t>(n), "the product was planned for ", request.n, " elements, got ", n);
}

// Adds this party's share of u*v, given its own opened value and the peer's.
template <class T>
void add_cross(bool server, const Buffer<T>& mine, const Buffer<T>& theirs, const Material<T>& material, T* out) {
    const T* d = server ? mine.data() : theirs.data();
    const T* e = server ? theirs.data() : mine.data();
    kernels().template ring<T>().add_cross(mine.size(), server, d, e, material.ring.data(), material.share.data(), out);
}

}  // namespace

template <class T>
Task square(Party<T>& party, int64_t index, std::span<const T> x, T* out) {
    const Request request = party.request(index, Kind::cross);
    check_size<T>(request, x.size());
    const Material<T> material = party.take(index, Kind::cross);
    const int64_t n = request.n;
    const T factor = party.server() ? T{2} : T{1};
    Buffer<T> mine(n), theirs(n);
    const RingKernels<T>& kernel = kernels().template ring<T>();
    kernel.masked(n, factor, T{}, x.data(), material.ring.data(), mine.data());
    co_await Hop().send(mine.data(), n).receive(theirs.data(), n);
    kernel.product(n, x.data(), x.data(), out);
    add_cross(party.server(), mine, theirs, material, out);
}

template <class T>
Task multiply(Party<T>& party, int64_t index, std::span<const T> x, std::span<const T> y, T* out) {
    const Request request = party.request(index, Kind::cross);
    check_size<T>(request, x.size());
    check_size<T>(party.request(index + 1, Kind::cross), y.size());
    const Material<T> first = party.take(index, Kind::cross), second = party.take(index + 1, Kind::cross);
    const int64_t n = request.n;
    // First cross: u = x_S, v = y_C. Second: u = y_S, v = x_C.
    const std::span<const T> left = party.server() ? x : y, right = party.server() ? y : x;
    Buffer<T> mine0(n), mine1(n), theirs0(n), theirs1(n);
    const RingKernels<T>& kernel = kernels().template ring<T>();
    kernel.masked(n, T{1}, T{}, left.data(), first.ring.data(), mine0.data());
    kernel.masked(n, T{1}, T{}, right.data(), second.ring.data(), mine1.data());
    co_await Hop().send(mine0.data(), n).send(mine1.data(), n).receive(theirs0.data(), n).receive(theirs1.data(), n);
    kernel.product(n, x.data(), y.data(), out);
    add_cross(party.server(), mine0, theirs0, first, out);
    add_cross(party.server(), mine1, theirs1, second, out);
}

template <class T>
Task x2(Party<T>& party, int64_t index, std::span<const T> y, X2Coefficients<T> coefficients, T* out) {
    const Request request = party.request(index, Kind::cross);
    check_size<T>(request, y.size());
    check_size<T>(party.request(index + 1, Kind::mask), y.size());
    check_size<T>(party.request(index + 2, Kind::linear), y.size());
    const int64_t n = request.n, channels = coefficients.channels, inner = coefficients.inner;
    check(channels > 0 && inner > 0 && n % (channels * inner) == 0, "x2 of ", n, " elements cannot have ", channels,
          " channels of ", inner);
    const Material<T> material = party.take(index, Kind::cross);
    const Material<T> mask = party.take(index + 1, Kind::mask);
    const Material<T> linear = party.take(index + 2, Kind::linear);
    const RingKernels<T>& kernel = kernels().template ring<T>();
    Buffer<T> mine(n), theirs(n), squares(n);
    if (party.server()) {
        for (int64_t row = 0; row < n / inner; ++row) {
            const int64_t at = row * inner, channel = row % channels;
            kernel.masked(inner, 2 * coefficients.c2[channel], coefficients.c1[channel], y.data() + at,
                          material.ring.data() + at, mine.data() + at);
        }
        co_await Hop().send(mine.data(), n).receive(theirs.data(), n).receive(squares.data(), n);
        for (int64_t row = 0; row < n / inner; ++row) {
            const int64_t at = row * inner, channel = row % channels;
            kernel.quadratic(inner, coefficients.c2[channel], coefficients.c1[channel], coefficients.c0[channel],
                             y.data() + at, squares.data() + at, linear.ring.data() + at, mine.data() + at,
                             theirs.data() + at, material.ring.data() + at, material.share.data() + at, out + at);
        }
    } else {
        kernel.masked(n, T{1}, T{}, y.data(), material.ring.data(), mine.data());
        kernel.masked_product(n, y.data(), y.data(), mask.ring.data(), squares.data());
        co_await Hop().send(mine.data(), n).send(squares.data(), n).receive(theirs.data(), n);
        std::memcpy(out, linear.ring.data(), static_cast<size_t>(n) * sizeof(T));
        add_cross(false, mine, theirs, material, out);
    }
}

#define MOIETY_INSTANTIATE(T)                                                               \
    template Task square(Party<T>&, int64_t, std::span<const T>, T*);                       \
    template Task multiply(Party<T>&, int64_t, std::span<const T>, std::span<const T>, T*); \
    template Task x2(Party<T>&, int64_t, std::span<const T>, X2Coefficients<T>, T*);
MOIETY_INSTANTIATE(uint32_t)
MOIETY_INSTANTIATE(uint64_t)
#undef MOIETY_INSTANTIATE

}  // namespace moiety::mpc
