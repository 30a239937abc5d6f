// Max pooling and argmax as tournaments of comparisons.
//
// max(a, b) = b + relu(a - b); a - b needs one bit more than the values, so values of k bits are compared and kept mod
// 2^(k+1). Pooling goes axis by axis (a maximum over a box is a maximum of maxima), the last axis first: fewer
// comparisons than the whole window at once, in as many levels. Padded positions are left out of the windows: no
// encoding of minus infinity. A tournament over m entries has ceil(log2 m) levels; every level of every axis is one
// compare_select over all its pairs, so
//     rounds = sum over axes and levels of the comparison's rounds, bytes likewise.
// argmax carries the index along as a second operand of the same bits; of equal maxima the lowest index wins, as in
// torch.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "mpc/party.hpp"

namespace moiety::mpc {

// One axis of a pooling: rows of `row` elements (everything but the axis), `length` of them, `out` windows.
struct PoolAxis {
    int64_t length = 1, kernel = 1, stride = 1, padding = 0, dilation = 1, out = 1;
};

// Which pairs meet at each level; entries are numbered, the inputs first, then each level's results in order.
struct Tournament {
    std::vector<std::vector<std::pair<int, int>>> levels;
    std::vector<int> winners;  // the entry that holds the maximum of each window
};
// Halves every window of entries until one is left; equal pairs of overlapping windows meet once. `entries`: how many
// there are before the first level.
Tournament tournament(std::vector<std::vector<int>> windows, int entries);
Tournament pool_tournament(const PoolAxis& axis);
Tournament argmax_tournament(int64_t classes);

// x is (outer, *axes lengths) with outer = batch * channels; up to three axes, first to last.
struct PoolShape {
    int64_t outer = 1;
    std::vector<PoolAxis> axes;
    int64_t out_size() const;
    // Elements compared in each level of each axis, in the order of evaluation: one request each.
    std::vector<int64_t> comparisons() const;
    void validate() const;
};
// Elements compared in each level of an argmax over (batch, classes).
std::vector<int64_t> argmax_comparisons(int64_t batch, int64_t classes);

// Uses the requests first, first + 1, ... (k + 1 bits, self_operand). Values are shares mod 2^(k+1) before and after.
template <class T>
Task maxpool(Party<T>& party, int64_t first, std::span<const T> x, PoolShape shape, T* out);

// x: (batch, classes). Requests with operands {k + 1 (self), index bits}. out: batch shares of the index mod 2^index
// bits.
template <class T>
Task argmax(Party<T>& party, int64_t first, std::span<const T> x, int64_t batch, int64_t classes, T* out);

}  // namespace moiety::mpc
