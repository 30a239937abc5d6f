// Convolution with vector kernels, for conv.cpp: an implicit matrix product (m output channels, n output positions,
// depth input channels x taps) whose right-hand panels are gathered from the padded input; depthwise by weighted rows.
#pragma once

#include "ring/conv.hpp"
#include "ring/gemm_kernels.hpp"

namespace moiety::ring {

// As conv(), the shape validated. Scratch: the padded form of as many images as are computed together.
template <class T>
void conv_vector(const T* x, const T* w, T* y, const ConvShape& shape, const GemmKernels<T>& kernels, bool accumulate,
                 int threads);

}  // namespace moiety::ring
