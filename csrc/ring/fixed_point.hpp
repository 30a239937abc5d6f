// Fixed point: a real v stands in Z_2^l as round(v * 2^f) mod 2^l, two's complement, f fraction bits.
//
// encode rounds to nearest, ties to even, and refuses what has no place: NaN, infinities and values whose rounded image
// is outside [-2^(l-1), 2^(l-1)). decode reads the sign from the top bit and is exact where the real type can hold the
// value (always for T = uint32_t and double), otherwise rounded. F is float or double.
#pragma once

#include <cstdint>
#include <span>

namespace moiety::ring {

// Throws Error naming the first offending index and value; `out` is then unspecified. 0 <= fraction_bits < l.
template <class T, class F>
void encode(std::span<const F> x, int fraction_bits, std::span<T> out, int threads);

template <class T, class F>
void decode(std::span<const T> x, int fraction_bits, std::span<F> out, int threads);

}  // namespace moiety::ring
