// Cross-correlation (what deep learning calls convolution) and its transpose in Z_2^32 or Z_2^64.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace moiety::ring {

// One to three spatial dimensions; unused ones are leading and have extent 1 (a 2-D convolution uses
// entries 1 and 2). Layouts as in torch: x (batch, in_channels, *in), w (out_channels, in_channels/groups, *kernel),
// transposed: w (in_channels, out_channels/groups, *kernel); y (batch, out_channels, *out()).
struct ConvShape {
    int64_t batch = 1, in_channels = 1, out_channels = 1, groups = 1;
    std::array<int64_t, 3> in{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1},
        output_padding{0, 0, 0};
    bool transposed = false;

    std::array<int64_t, 3> out() const;
    int64_t in_size() const;      // elements of x
    int64_t weight_size() const;  // elements of w
    int64_t out_size() const;     // elements of y
    int64_t macs() const;         // multiply-adds, padded positions included
    // Throws Error with the offending values unless every extent is positive, groups divide both channel
    // counts, the output is not empty and no size overflows int64_t.
    void validate() const;
    std::string describe() const;
};

// y = conv(x, w), or y += conv(x, w). threads <= 0: default_threads().
template <class T>
void conv(const T* x, const T* w, T* y, const ConvShape& shape, bool accumulate, int threads);

extern template void conv(const uint32_t*, const uint32_t*, uint32_t*, const ConvShape&, bool, int);
extern template void conv(const uint64_t*, const uint64_t*, uint64_t*, const ConvShape&, bool, int);

}  // namespace moiety::ring
