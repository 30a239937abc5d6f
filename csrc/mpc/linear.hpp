// Opening towards the server, truncation and ring extension.
//
// open (a `mask` correlation): F = x - B becomes known to the server.
//   1. C sends x_C - B. 2. S: F = x_S + (x_C - B). Rounds 1, n l/8 bytes from C. S sees x - B, uniform.
//
// truncate (a `bit_product` mod 2^s): floor(y / 2^s) or one more, for |y| < 2^(l-2), in the full ring: error in (-1, 1]
//   unit, of mean 2^-s over the shares (1 only where 2^s divides y and both shares).
//   a = y_S + 2^(l-2), b = y_C; then a + b = y + 2^(l-2) + w 2^l with w = msb(a) OR msb(b), since the true sum is below
//   2^(l-1).
//   1. Each party opens its complemented top bit masked: p = 1 - msb(a) at S, q = 1 - msb(b) at C. 2. w = 1 - pq;
//   y' = (a >> s) + (b >> s) - w 2^(l-s) - 2^(l-2-s), and S adds the mean error 1. Rounds 1, 8 W bytes each way.
//
// extend (a `bit_product` mod 2^(l-k)): from shares mod 2^k of v in [0, 2^(k-1)) to the full ring; the same OR of the
// top bits
//   k-1, v = a + b - w 2^k. `is_signed`: |v| < 2^(k-2), shifted by 2^(k-2) first and back after. Rounds 1, 8 W bytes
//   each way.
//
// reveal: S sends its share (packed to `bits`), C adds: the output goes to the client alone. Rounds 1, n
// packed_bytes(bits) from S.
#pragma once

#include <span>

#include "mpc/party.hpp"

namespace moiety::mpc {

// `opened` (S only) receives F; may be null at C.
template <class T>
Task open(Party<T>& party, int64_t request, std::span<const T> x, T* opened);

template <class T>
Task truncate(Party<T>& party, int64_t request, std::span<const T> y, int shift, T* out);

template <class T>
Task extend(Party<T>& party, int64_t request, std::span<const T> v, int k, bool is_signed, T* out);

// `out` receives the value mod 2^bits at C, and S's own share mod 2^bits at S.
template <class T>
Task reveal(Party<T>& party, std::span<const T> x, int bits, T* out);

}  // namespace moiety::mpc
