// The product of a sparse matrix whose pattern is public and whose values are shared with a shared tensor:
//     y_r = sum over the entries (r, c) of v_entry x_c,      v one value an entry, x (columns, channels).
//
// Beaver's triple for this bilinear map (Beaver, CRYPTO 1991), written S(v) x, so that a value is opened once and not
// once for every channel that it weighs, and a row of x once and not once for every entry that reads it. A `sparse`
// correlation gives both parties shares of uniform a (like v) and B (like x), and of C = S(a) B.
//   1. Both open d = v - a and e = x - B.
//   2. y = S(d) e + S(d) B + S(a) e + C: S adds S(d) (e + B_S) + S(a_S) e + C_S, C the same of its shares without e.
// Who learns what: d and e, which are uniform. Rounds 1; bytes each way batch (entries + columns channels) l/8. The
// result is not truncated.
#pragma once

#include <span>

#include "mpc/party.hpp"

namespace moiety::mpc {

// values (batch, entries), x (batch, columns, channels), out (batch, rows, channels), as the request says.
template <class T>
Task sparse_multiply(Party<T>& party, int64_t index, std::span<const T> values, std::span<const T> x, T* out);

}  // namespace moiety::mpc
