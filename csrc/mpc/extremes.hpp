// The largest and the least member of every row of a public pattern (the nodes of every hyperedge), as shared bits:
// which entry holds the maximum of a shared value over its row, and which the minimum. Nobody learns either.
//
// For values x (one a column) and rows of at least two entries:
//   1. Two tournaments a row, of its entries from left to right: at each level max = right + b (left - right) with
//      b = [left - right + slack >= 0], and min = right - b (right - left) with b = [right - left + slack >= 0]: of
//      values that are equal, or differ by at most the public slack, the left wins, so that the first entry of a row
//      does, as in torch.argmax. One comparison a level for both; each bit b is kept, shared in the ring.
//   2. t = 1 - [min - max + slack >= 0] for every row: whether its values differ.
//   3. Downwards, from each row's last match to its entries: a match of indicator i (t for the last one) gives i b to
//      its left side and i - i b to its right, a product a level for both tournaments.
// out (batch, 2, entries): 1 at the maximum (first) and minimum (second) of every row, 0 elsewhere; all 0 in rows whose
// values are all equal, which have no extremes.
//
// Who learns what: uniformly masked values only. With p_j pairs at level j of L = ceil(log2(longest row)) levels (a row
// of s entries has floor(s_j / 2) at level j, s_0 = s, s_(j+1) = ceil(s_j / 2)), m rows and k bits:
//     comparisons of 2 p_1, .., 2 p_L elements with one operand of k bits, then of m without operands,
//     products of 2 p_L, .., 2 p_1 elements;
//     rounds (L + 1) (rounds of a comparison of k bits) + L; bytes: their sum.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "mpc/party.hpp"
#include "mpc/pattern.hpp"

namespace moiety::mpc {

// Pairs that meet at each level, over all rows. Throws Error for a row of fewer than two entries.
std::vector<int64_t> extremes_pairs(const Pattern& rows);

// x (batch, columns): shares mod 2^k, k the bits of the requests, which all differences fit, slack added. Uses the
// requests first
// ..: a comparison of itself with an indicator of the whole ring a level, one without operands, then two `cross` a
// level, the last level first.
template <class T>
Task extremes(Party<T>& party, int64_t first, std::span<const T> x, std::shared_ptr<const Pattern> rows, int64_t batch,
              T slack, T* out);

// Opens shared bits to both parties: out = the low bit of the sum of the shares. Rounds 1; bytes each way W(n), a bit
// an element in whole words. Who learns what: both parties all the bits. Nothing uses it unless the program says so.
template <class T>
Task disclose(Party<T>& party, std::span<const T> bits, T* out);

}  // namespace moiety::mpc
