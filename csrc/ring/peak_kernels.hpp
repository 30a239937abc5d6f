// The loops behind peak.cpp, one an instruction set: each runs `rounds` rounds and returns the products of one round;
// `sink` receives a value that depends on all of them.
#pragma once

#include <cstdint>

namespace moiety::ring {

template <class T>
int64_t multiply_registers_avx2(int64_t rounds, T* sink);
template <class T>
int64_t multiply_registers_avx512(int64_t rounds, T* sink);

}  // namespace moiety::ring
