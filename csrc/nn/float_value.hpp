// One number read and written as the scalar kernels compute with it: bfloat16 as float32, rounded to nearest even.
#pragma once

#include <bit>
#include <cstdint>

#include "nn/quadratic.hpp"

namespace moiety::nn {

template <class T>
inline T value(T v) {
    return v;
}
inline float value(Bf16 v) { return std::bit_cast<float>(static_cast<uint32_t>(v.bits) << 16); }

template <class T>
inline void put(T* p, T v) {
    *p = v;
}
inline void put(Bf16* p, float v) {
    const uint32_t bits = std::bit_cast<uint32_t>(v);
    const uint32_t rounded = v != v ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
    p->bits = static_cast<uint16_t>(rounded >> 16);
}

}  // namespace moiety::nn
