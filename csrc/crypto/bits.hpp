// Between ring elements, bit planes and packed bytes.
//
// Plane j of n elements holds bit j of every element: ceil(n/64) words, element i at bit i%64 of word i/64,
// the bits past n zero. Planes are stored one after another, `stride` words apart (stride >= ceil(n/64)).
// T is uint32_t or uint64_t throughout. first + count is at most the bits of T and `bytes` at most its bytes.
// Time depends on the sizes only.
#pragma once

#include <cstdint>

namespace moiety::crypto {

inline int64_t words_for(int64_t n) { return (n + 63) / 64; }

// planes[j*stride + i/64] bit i%64 = bit (first + j) of x[i], for j in [0, count).
template <class T>
void to_planes(const T* x, int64_t n, int first, int count, uint64_t* planes, int64_t stride);

// x[i] = sum over j in [0, count) of bit j of element i times 2^j (the upper bits zero). Bits of
// the planes past n are ignored.
template <class T>
void from_planes(const uint64_t* planes, int64_t stride, int64_t n, int count, T* x);

// The low `bytes` (1..sizeof(T)) bytes of each element, little-endian, without gaps: n*bytes bytes.
template <class T>
void pack(const T* x, int64_t n, int bytes, uint8_t* out);

// The inverse; the upper bytes become zero.
template <class T>
void unpack(const uint8_t* in, int64_t n, int bytes, T* x);

}  // namespace moiety::crypto
