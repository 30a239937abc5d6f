// The multiplier's roofline: products in Z_2^32 or Z_2^64 that one thread completes in a second, on independent
// registers and with no memory traffic, with the instructions of the active ISA level.
#pragma once

namespace moiety::ring {

template <class T>
double measure_multiplier_peak();

}  // namespace moiety::ring
