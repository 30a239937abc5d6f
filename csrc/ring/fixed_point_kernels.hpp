// The kernels behind fixed_point.cpp that have a vector form.
#pragma once

#include <cstdint>

namespace moiety::ring {

// Encodes x[0, n); returns the index of the first value that cannot be encoded, or n.
template <class T, class F>
int64_t encode_avx512(const F* x, double factor, T* out, int64_t n);
template <class T, class F>
void decode_avx512(const T* x, double factor, F* out, int64_t n);

}  // namespace moiety::ring
