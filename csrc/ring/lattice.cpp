#include "ring/lattice.hpp"

#include <algorithm>

namespace moiety::ring {
namespace {

using Extents = std::array<int64_t, 3>;

// Calls visit(position, index) for every position of a box in row-major order.
template <class Visit>
void each(const Extents& box, const Visit& visit) {
    int64_t index = 0;
    for (int64_t z = 0; z < box[0]; ++z)
        for (int64_t y = 0; y < box[1]; ++y)
            for (int64_t x = 0; x < box[2]; ++x) visit(Extents{z, y, x}, index++);
}

}  // namespace

std::vector<Lattice> lattices(const ConvShape& s) {
    const Extents out = s.out();
    std::vector<Lattice> result;
    if (!s.transposed) {
        Lattice lattice{out, {0, 0, 0}, {1, 1, 1}, s.stride, {}};
        each(s.kernel, [&](const Extents& t, int64_t index) {
            Tap tap{index, {}};
            for (size_t d = 0; d < 3; ++d) tap.offset[d] = t[d] * s.dilation[d] - s.padding[d];
            lattice.taps.push_back(tap);
        });
        result.push_back(std::move(lattice));
        return result;
    }
    Extents residues{};
    for (size_t d = 0; d < 3; ++d) residues[d] = std::min(s.stride[d], out[d]);
    each(residues, [&](const Extents& r, int64_t) {
        Lattice lattice{{}, r, s.stride, {1, 1, 1}, {}};
        for (size_t d = 0; d < 3; ++d) lattice.grid[d] = (out[d] - r[d] - 1) / s.stride[d] + 1;
        each(s.kernel, [&](const Extents& t, int64_t index) {
            Tap tap{index, {}};
            for (size_t d = 0; d < 3; ++d) {
                const int64_t position = r[d] + s.padding[d] - t[d] * s.dilation[d];
                if (position % s.stride[d] != 0) return;
                tap.offset[d] = position / s.stride[d];
                // A tap that meets the border only would widen it for nothing.
                if (tap.offset[d] >= s.in[d] || tap.offset[d] + lattice.grid[d] <= 0) return;
            }
            lattice.taps.push_back(tap);
        });
        result.push_back(std::move(lattice));
    });
    return result;
}

Border border(const ConvShape& s, const std::vector<Lattice>& all) {
    Border b;
    for (const Lattice& lattice : all)
        for (const Tap& tap : lattice.taps)
            for (size_t d = 0; d < 3; ++d) {
                const int64_t last = (lattice.grid[d] - 1) * lattice.in_step[d] + tap.offset[d];
                b.before[d] = std::max(b.before[d], -tap.offset[d]);
                b.after[d] = std::max(b.after[d], last - (s.in[d] - 1));
            }
    return b;
}

PaddedPlane padded_plane(const ConvShape& s, const std::vector<Lattice>& all) {
    const Border b = border(s, all);
    PaddedPlane plane;
    plane.before = b.before;
    plane.depth = s.in[0] + b.before[0] + b.after[0];
    plane.height = s.in[1] + b.before[1] + b.after[1];
    plane.width = s.in[2] + b.before[2] + b.after[2];
    plane.phases = all.front().in_step[2];
    plane.phase = (plane.width + plane.phases - 1) / plane.phases;
    plane.row = plane.phase * plane.phases;
    return plane;
}

template <class T>
void pad_plane(const T* x, const ConvShape& s, const PaddedPlane& p, T* out) {
    std::fill(out, out + p.size(), T{0});
    for (int64_t z = 0; z < s.in[0]; ++z)
        for (int64_t y = 0; y < s.in[1]; ++y) {
            const T* line = x + (z * s.in[1] + y) * s.in[2];
            T* row = out + ((z + p.before[0]) * p.height + y + p.before[1]) * p.row;
            if (p.phases == 1) {
                std::copy(line, line + s.in[2], row + p.before[2]);
                continue;
            }
            for (int64_t i = 0, phase = p.before[2] % p.phases, at = p.before[2] / p.phases; i < s.in[2]; ++i) {
                row[phase * p.phase + at] = line[i];
                if (++phase == p.phases) phase = 0, ++at;
            }
        }
}

template void pad_plane(const uint32_t*, const ConvShape&, const PaddedPlane&, uint32_t*);
template void pad_plane(const uint64_t*, const ConvShape&, const PaddedPlane&, uint64_t*);

}  // namespace moiety::ring
