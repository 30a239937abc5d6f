// Products of shared values, all from `cross` correlations: a at S, b at C and shares of a*b.
//
// cross term u*v for u at S, v at C:
//   1. S sends D = u - a, C sends E = v - b. 2. u v = D E + a E + D b + a b: S adds D E + a E + its share, C adds D b +
//   its share.
// square:   x^2 = x_S^2 + (2 x_S) x_C + x_C^2                               one cross; rounds 1, n l/8 bytes each way
// multiply: x y = x_S y_S + x_S y_C + y_S x_C + x_C y_C                      two crosses; rounds 1, 2 n l/8 bytes each
// way x2:       c2 y^2 + c1 y + c0 with per-channel coefficients held by S, scales f_c, f_c + f, f_c + 2f:
//   u = 2 c2 y_S + c1, v = y_C (a cross), and c2 y_C^2 as a server-held linear map of what C alone knows (mask and
//   linear correlations of a depthwise 1x1 convolution): 1. S sends u - a; C sends y_C - b and y_C^2 - B. 2. S adds c2
//   y_S^2 + c1 y_S + c0. Rounds 1, n l/8 bytes from S and 2 n l/8 from C.
// Who learns what: uniformly masked values only. The results are not truncated.
#pragma once

#include <span>

#include "mpc/party.hpp"

namespace moiety::mpc {

template <class T>
Task square(Party<T>& party, int64_t cross, std::span<const T> x, T* out);

// Uses the requests `cross` and `cross + 1`.
template <class T>
Task multiply(Party<T>& party, int64_t cross, std::span<const T> x, std::span<const T> y, T* out);

// Coefficients of x2, held by the server: one of each a channel; null at the client.
template <class T>
struct X2Coefficients {
    const T* c2 = nullptr;
    const T* c1 = nullptr;
    const T* c0 = nullptr;
    int64_t channels = 1;
    int64_t inner = 1;  // elements of one channel of one sample
};

// Uses the requests `cross`, `cross + 1` (mask) and `cross + 2` (linear). y is (batch, channels, inner).
template <class T>
Task x2(Party<T>& party, int64_t cross, std::span<const T> y, X2Coefficients<T> coefficients, T* out);

}  // namespace moiety::mpc
