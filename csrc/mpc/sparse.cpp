#include "mpc/sparse.hpp"

#include <cstring>

namespace moiety::mpc {

template <class T>
Task sparse_multiply(Party<T>& party, int64_t index, std::span<const T> values, std::span<const T> x, T* out) {
    const Request request = party.request(index, Kind::sparse);
    const Pattern& pattern = *request.pattern;
    const int64_t weights = request.sparse_values(), inputs = request.sparse_inputs();
    check(static_cast<int64_t>(values.size()) == weights && static_cast<int64_t>(x.size()) == inputs,
          "the sparse product was planned for ", weights, " values and ", inputs, " elements, got ", values.size(),
          " and ", x.size());
    const Material<T> material = party.take(index, Kind::sparse);
    const T* own = material.ring.data();  // a, then B

    // 1. d and e, one after the other.
    const int64_t n = weights + inputs;
    Buffer<T> opened(n), theirs(n);
    for (int64_t i = 0; i < weights; ++i) opened[i] = values[static_cast<size_t>(i)] - own[i];
    for (int64_t i = 0; i < inputs; ++i) opened[weights + i] = x[static_cast<size_t>(i)] - own[weights + i];
    co_await Hop().send(opened.data(), n).receive(theirs.data(), n);
    for (int64_t i = 0; i < n; ++i) opened[i] += theirs[i];

    // 2. The server's B is taken together with e; the buffer of the peer's message is free for the sum.
    const T* e = opened.data() + weights;
    for (int64_t i = 0; i < inputs; ++i) theirs[i] = own[weights + i] + (party.server() ? e[i] : T{});
    std::memcpy(out, material.share.data(), static_cast<size_t>(request.n) * sizeof(T));
    const int64_t channels = request.sparse_channels();
    for (int64_t b = 0; b < request.batch; ++b) {
        T* to = out + b * pattern.rows() * channels;
        const int64_t from = b * pattern.columns * channels, at = b * pattern.entries();
        multiply_add(pattern, opened.data() + at, theirs.data() + from, channels, party.threads(), to);
        multiply_add(pattern, own + at, e + from, channels, party.threads(), to);
    }
}

#define MOIETY_INSTANTIATE(T) \
    template Task sparse_multiply(Party<T>&, int64_t, std::span<const T>, std::span<const T>, T*);
MOIETY_INSTANTIATE(uint32_t)
MOIETY_INSTANTIATE(uint64_t)
#undef MOIETY_INSTANTIATE

}  // namespace moiety::mpc
