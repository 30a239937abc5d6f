// The switch of deterministic_secrets.cpp, for the transcript tests.
#pragma once

#include <cstdint>

namespace moiety::crypto {

// From here on random_bytes() answers from the stream of `seed`; before the first call the seed is 0.
void seed_deterministic_secrets(uint64_t seed);

}  // namespace moiety::crypto
