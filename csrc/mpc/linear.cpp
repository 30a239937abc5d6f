#include "mpc/linear.hpp"

#include "crypto/bits.hpp"
#include "mpc/kernels.hpp"

namespace moiety::mpc {
namespace {

// Adds -w 2^modulus to the shares in `out`, w = 1 - pq for the complemented top bits in `own` (p at S, q at C).
template <class T>
Task correct_wrap(Party<T>& party, int64_t index, int64_t n, Buffer<uint64_t> own, int modulus, T* out) {
    const Request request = party.request(index, Kind::bit_product);
    constexpr int ring = Party<T>::ring_bits;
    check(request.n == n && request.bits == ring - modulus, "the correlation was planned for ", request.n,
          " elements mod 2^", request.bits, ", needed ", n, " mod 2^", ring - modulus);
    const Material<T> material = party.take(index, Kind::bit_product);
    const int64_t words = plane_words(n);
    for (int64_t w = 0; w < words; ++w) own[w] ^= material.bits[w];
    Buffer<uint64_t> peer(words);
    co_await Hop().send(own.data(), words).receive(peer.data(), words);
    const uint64_t* d = party.server() ? own.data() : peer.data();
    const uint64_t* e = party.server() ? peer.data() : own.data();
    kernels().template ring<T>().add_product(n, party.server(), d, e, material.bits.data(), material.share.data(),
                                             modulus, party.server() ? T{1} : T{}, out);
}

}  // namespace

template <class T>
Task open(Party<T>& party, int64_t index, std::span<const T> x, T* opened) {
    const Request request = party.request(index, Kind::mask);
    const int64_t n = request.n;
    check(static_cast<int64_t>(x.size()) == n, "the opening was planned for ", n, " elements, got ", x.size());
    const Material<T> material = party.take(index, Kind::mask);
    Buffer<T> message(n);
    if (party.server()) {
        co_await Hop().receive(message.data(), n);
        for (int64_t i = 0; i < n; ++i) opened[i] = x[static_cast<size_t>(i)] + message[i];
    } else {
        kernels().template ring<T>().masked(n, T{1}, T{}, x.data(), material.ring.data(), message.data());
        co_await Hop().send(message.data(), n);
    }
}

template <class T>
Task truncate(Party<T>& party, int64_t index, std::span<const T> y, int shift, T* out) {
    constexpr int ring = Party<T>::ring_bits;
    const int64_t n = static_cast<int64_t>(y.size());
    check(shift >= 1 && shift <= ring - 2, "a truncation drops 1 to ", ring - 2, " bits, got ", shift);
    const T offset = party.server() ? T{1} << (ring - 2) : T{};
    const T back = party.server() ? T{1} - (T{1} << (ring - 2 - shift)) : T{};
    Buffer<uint64_t> top(plane_words(n));
    kernels().template ring<T>().split(n, y.data(), offset, ~T{}, ring - 1, shift, back, top.data(), out);
    co_await correct_wrap(party, index, n, std::move(top), ring - shift, out);
}

template <class T>
Task extend(Party<T>& party, int64_t index, std::span<const T> v, int k, bool is_signed, T* out) {
    constexpr int ring = Party<T>::ring_bits;
    const int64_t n = static_cast<int64_t>(v.size());
    check(k >= 2 && k < ring, "an extension starts from 2 to ", ring - 1, " bits, got ", k);
    const T offset = party.server() && is_signed ? T{1} << (k - 2) : T{};
    Buffer<uint64_t> top(plane_words(n));
    kernels().template ring<T>().split(n, v.data(), offset, (T{1} << k) - 1, k - 1, 0, T{} - offset, top.data(), out);
    co_await correct_wrap(party, index, n, std::move(top), k, out);
}

template <class T>
Task reveal(Party<T>& party, std::span<const T> x, int bits, T* out) {
    const int64_t n = static_cast<int64_t>(x.size());
    check(bits >= 1 && bits <= Party<T>::ring_bits, "an output has 1 to ", Party<T>::ring_bits, " bits, got ", bits);
    const int bytes = static_cast<int>(packed_bytes(bits));
    const T mask = static_cast<T>(bits == Party<T>::ring_bits ? ~T{} : (T{1} << bits) - 1);
    Buffer<uint8_t> message(n * bytes);
    if (party.server()) {
        // The upper bits of a share may hold more of the value than the client is to learn.
        for (int64_t i = 0; i < n; ++i) out[i] = x[static_cast<size_t>(i)] & mask;
        crypto::pack(out, n, bytes, message.data());
        co_await Hop().send(message.data(), message.size());
    } else {
        co_await Hop().receive(message.data(), message.size());
        crypto::unpack(message.data(), n, bytes, out);
        for (int64_t i = 0; i < n; ++i) out[i] = (out[i] + x[static_cast<size_t>(i)]) & mask;
    }
}

#define MOIETY_INSTANTIATE(T)                                                    \
    template Task open(Party<T>&, int64_t, std::span<const T>, T*);              \
    template Task truncate(Party<T>&, int64_t, std::span<const T>, int, T*);     \
    template Task extend(Party<T>&, int64_t, std::span<const T>, int, bool, T*); \
    template Task reveal(Party<T>&, std::span<const T>, int, T*);
MOIETY_INSTANTIATE(uint32_t)
MOIETY_INSTANTIATE(uint64_t)
#undef MOIETY_INSTANTIATE

}  // namespace moiety::mpc
