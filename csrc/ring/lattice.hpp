// Both directions of a convolution as one kind of problem: for every point q of a grid,
//
//     y[origin + q*out_step] = sum over channels and taps of weight[tap] * x[q*in_step + tap.offset],
//
// x being zero outside its extents. An ordinary convolution is one such lattice with in_step = stride, out_step = 1. A
// transposed one falls into prod(stride) of them, one for each residue r of the output position mod the stride: there
// only the taps t with (r + padding - t*dilation) divisible by the stride reach an input, the one at
// q + (r + padding - t*dilation)/stride. So no product with an inserted zero is ever formed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ring/conv.hpp"

namespace moiety::ring {

struct Tap {
    int64_t index;                  // in the kernel, row-major
    std::array<int64_t, 3> offset;  // added to q*in_step
};

struct Lattice {
    std::array<int64_t, 3> grid, origin, out_step, in_step;
    std::vector<Tap> taps;  // may be empty: then these outputs are zero
};

std::vector<Lattice> lattices(const ConvShape& shape);

// How far the lattices reach outside the input, before and after it, in each dimension.
struct Border {
    std::array<int64_t, 3> before{0, 0, 0}, after{0, 0, 0};
};
Border border(const ConvShape& shape, const std::vector<Lattice>& all);

// The input with its zero border, its rows split by residue mod `phases` (the step along a row), so that what a tap
// reads for consecutive outputs is contiguous: entry (z, y, x) of a plane, counted from the border's start, is at
// (z*height + y)*row + (x mod phases)*phase + x div phases.
struct PaddedPlane {
    std::array<int64_t, 3> before{0, 0, 0};
    int64_t depth = 1, height = 1, width = 1, phases = 1, phase = 1, row = 1;

    int64_t size() const { return depth * height * row; }
    // Of the input position `p`, which may lie in the border.
    int64_t at(const std::array<int64_t, 3>& p) const {
        const int64_t x = p[2] + before[2];
        return ((p[0] + before[0]) * height + p[1] + before[1]) * row + x % phases * phase + x / phases;
    }
};
// Equals the input itself, so that no copy is needed, when there is no border and in_step along the row is 1.
PaddedPlane padded_plane(const ConvShape& shape, const std::vector<Lattice>& all);
inline bool is_plain(const PaddedPlane& p, const ConvShape& s) {
    return p.phases == 1 && p.depth == s.in[0] && p.height == s.in[1] && p.width == s.in[2];
}

// Writes one plane of x into its padded form.
template <class T>
void pad_plane(const T* x, const ConvShape& shape, const PaddedPlane& plane, T* out);

}  // namespace moiety::ring
