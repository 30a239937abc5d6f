// b = [y >= 0] and b * operand, for a value |y| < 2^(k-1) shared mod 2^k.
//
// The sign of y is bit k-1 of y_S + y_C mod 2^k. Steps, circuit (a `circuit` correlation):
//   1. Each party opens its bits masked (bit i < k-1 of its own share ^ its input mask) and its share of x + delta for
//   every operand x.
//   2. Level by level, opens the masked outputs of the radix-4 prefix nodes (circuit.hpp); in the last level the share
//   of
//      b = 1 ^ msb(y_S) ^ msb(y_C) ^ carry under its mask beta.
//   3. Locally b x = db (dx - delta) + (1-2 db)(beta dx - beta delta), db = b ^ beta, dx = x + delta: selection costs
//   no round. Rounds 1 + levels(k); bytes each way 8 W (k-1 + opened planes) + n sum of packed_bytes(width), W =
//   ceil(n/64).
// Steps, dcf (a `dcf` correlation, keys for x < low_(k-1)(r)):
//   1. z = y + r mod 2^k is opened (with self_operand it is also the first operand's dx), and dx of the other operands.
//   2. b = 1 ^ msb(z) ^ msb(r) ^ [low(z) < low(r)] is opened under lambda. 3. as above.
//   Rounds 2; bytes each way n (packed_bytes(k) + other operands) + 8 W.
// Who learns what: uniformly masked values only. Shares wider than k (or than an operand's width) are reduced here; the
// results are shares mod 2^width with arbitrary upper bits.
#pragma once

#include <span>
#include <vector>

#include "mpc/party.hpp"

namespace moiety::mpc {

// out[o] receives b * operands[o]; `indicator`, when not null, b itself. The request (circuit or dcf) fixes n, k and
// the widths; with self_operand operands[0] must be y. Spans stay the caller's and must outlive the task.
template <class T>
Task compare_select(Party<T>& party, int64_t request, std::span<const T> y, std::vector<std::span<const T>> operands,
                    std::vector<T*> out, T* indicator);

// max(y, 0) for a request of n elements with self_operand.
template <class T>
Task relu(Party<T>& party, int64_t request, std::span<const T> y, T* out);

// low + relu(y - low) - relu(y - high) for a request of 2n elements with self_operand: Hardtanh, ReLU6.
template <class T>
Task hardtanh(Party<T>& party, int64_t request, std::span<const T> y, T low, T high, T* out);

// A public piecewise-linear function: offset + sum_i slopes[i] relu(y - thresholds[i]) for a request of m n elements
// with self_operand, m the number of pieces. All y - thresholds[i] fit k bits; what the sum passes through on its way
// need not, since it is taken mod 2^k.
template <class T>
struct Pieces {
    std::vector<T> thresholds, slopes;
    T offset{};
};

template <class T>
Task piecewise(Party<T>& party, int64_t request, std::span<const T> y, Pieces<T> pieces, T* out);

}  // namespace moiety::mpc
