#include "mpc/product.hpp"

namespace moiety::mpc {
namespace {

template <class T>
void check_size(const Request& request, size_t n) {
    check(request.n == static_cast<int64_t>(n), "the product was planned for ", request.n, " elements, got ", n);
}

// Adds this party's share of u*v, given its own opened value and the peer's.
template <class T>
void add_cross(bool server, const Buffer<T>& mine, const Buffer<T>& theirs, const Material<T>& material, T* out) {
    const T* factor = material.ring.data();
    const T* share = material.share.data();
    const T* d = mine.data();
    const T* e = theirs.data();
    const int64_t n = mine.size();
    if (server)
        for (int64_t i = 0; i < n; ++i) out[i] += (d[i] + factor[i]) * e[i] + share[i];
    else
        for (int64_t i = 0; i < n; ++i) out[i] += e[i] * factor[i] + share[i];
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
    for (int64_t i = 0; i < n; ++i) mine[i] = factor * x[static_cast<size_t>(i)] - material.ring[i];
    co_await Hop().send(mine.data(), n).receive(theirs.data(), n);
    for (int64_t i = 0; i < n; ++i) out[i] = x[static_cast<size_t>(i)] * x[static_cast<size_t>(i)];
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
    for (int64_t i = 0; i < n; ++i) {
        mine0[i] = left[static_cast<size_t>(i)] - first.ring[i];
        mine1[i] = right[static_cast<size_t>(i)] - second.ring[i];
    }
    co_await Hop().send(mine0.data(), n).send(mine1.data(), n).receive(theirs0.data(), n).receive(theirs1.data(), n);
    for (int64_t i = 0; i < n; ++i) out[i] = x[static_cast<size_t>(i)] * y[static_cast<size_t>(i)];
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
    Buffer<T> mine(n), theirs(n);
    if (party.server()) {
        Buffer<T> squares(n);
        for (int64_t row = 0; row < n / inner; ++row) {
            const T c2 = coefficients.c2[row % channels], c1 = coefficients.c1[row % channels];
            for (int64_t i = row * inner; i < (row + 1) * inner; ++i)
                mine[i] = 2 * c2 * y[static_cast<size_t>(i)] + c1 - material.ring[i];
        }
        co_await Hop().send(mine.data(), n).receive(theirs.data(), n).receive(squares.data(), n);
        for (int64_t row = 0; row < n / inner; ++row) {
            const T c2 = coefficients.c2[row % channels], c1 = coefficients.c1[row % channels],
                    c0 = coefficients.c0[row % channels];
            for (int64_t i = row * inner; i < (row + 1) * inner; ++i) {
                const T value = y[static_cast<size_t>(i)];
                out[i] = c2 * (value * value + squares[i]) + c1 * value + c0 + linear.ring[i];
            }
        }
    } else {
        Buffer<T> squares(n);
        for (int64_t i = 0; i < n; ++i) {
            const T value = y[static_cast<size_t>(i)];
            mine[i] = value - material.ring[i];
            squares[i] = value * value - mask.ring[i];
        }
        co_await Hop().send(mine.data(), n).send(squares.data(), n).receive(theirs.data(), n);
        for (int64_t i = 0; i < n; ++i) out[i] = linear.ring[i];
    }
    add_cross(party.server(), mine, theirs, material, out);
}

#define MOIETY_INSTANTIATE(T)                                                               \
    template Task square(Party<T>&, int64_t, std::span<const T>, T*);                       \
    template Task multiply(Party<T>&, int64_t, std::span<const T>, std::span<const T>, T*); \
    template Task x2(Party<T>&, int64_t, std::span<const T>, X2Coefficients<T>, T*);
MOIETY_INSTANTIATE(uint32_t)
MOIETY_INSTANTIATE(uint64_t)
#undef MOIETY_INSTANTIATE

}  // namespace moiety::mpc
