// The quadratic activation with a hinge, forward and backward:
//
//     y = w1 x^2 + w2 x + b + r max(x, 0)
//
//     dx = dy (2 w1 x + w2 + r [x > 0])      dw1 = sum dy x^2      dw2 = sum dy x      db = sum dy
//                                            dr = sum dy max(x, 0)
//
// The activation x2act of PASNet (arXiv 2306.15513) with r = 0; ReLU, the identity and all their mixtures besides.
//
// x, y, dx, dy hold `outer` samples of `channels` x `inner` elements, in the order (outer, channels, inner), or
// (outer, inner, channels) with channels_last; T is float or Bf16. Each coefficient is float32, one number or one a
// channel; an empty r is no hinge. Arithmetic is float32 (a Bf16 result is rounded once, to nearest even); the sums are
// kept in float32 for at most 2^12 terms a lane and in double beyond, in an order that depends on the shape alone, so
// results do not depend on the number of threads. y is NaN wherever x is.
//
// The loops are bound by memory: forward reads x once, backward reads x and dy once and has all gradients of them.
// Outputs too large to stay in a cache are written past it. Where channels are the fastest axis, rows are taken as long
// as the least multiple of the channels that is a multiple of the vector, so that no channel count needs partial
// vectors.
#pragma once

#include <cstdint>
#include <span>

namespace moiety::nn {

// The upper half of a float32.
struct Bf16 {
    uint16_t bits;
};

struct ChannelShape {
    int64_t outer = 0, channels = 0, inner = 0;
    bool channels_last = false;

    int64_t size() const { return outer * channels * inner; }
};

// Each of 1 or shape.channels numbers; r may be empty.
struct Coefficients {
    std::span<const float> w1, w2, b, r;
};

// Each of the size of its coefficient.
struct CoefficientGradients {
    std::span<float> w1, w2, b, r;
};

// threads <= 0: default_threads().
template <class T>
void quadratic_forward(const ChannelShape& shape, const T* x, const Coefficients& c, T* y, int threads);
// dx may be dy.
template <class T>
void quadratic_backward(const ChannelShape& shape, const T* x, const T* dy, const Coefficients& c, T* dx,
                        const CoefficientGradients& gradients, int threads);

}  // namespace moiety::nn
