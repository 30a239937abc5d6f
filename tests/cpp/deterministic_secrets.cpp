// A seeded stand-in for crypto/secrets.cpp with the same symbols, linked by the transcript tests only (see
// CMakeLists.txt): the n-th byte asked for since the last seeding is byte n of a fixed AES counter stream, so
// a single-threaded protocol step repeats its transcript bit by bit. No production target can reach this
// file.
#include "deterministic_secrets.hpp"

#include <mutex>
#include <span>

#include "crypto/prg.hpp"
#include "crypto/secrets.hpp"

namespace moiety::crypto {
namespace {

std::mutex mutex;

Prg stream_for(uint64_t seed) {
    Block key{'m', 'o', 'i', 'e', 't', 'y', '-', 't'};
    for (size_t i = 0; i < 8; ++i) key[8 + i] = static_cast<uint8_t>(seed >> (8 * i));
    return Prg(key, 0);
}

Prg& stream() {
    static Prg instance = stream_for(0);
    return instance;
}

}  // namespace

void seed_deterministic_secrets(uint64_t seed) {
    const std::scoped_lock lock(mutex);
    stream() = stream_for(seed);
}

void random_bytes(std::span<uint8_t> out) {
    const std::scoped_lock lock(mutex);
    stream().fill(out);
}

Block random_block() {
    Block block;
    random_bytes(block);
    return block;
}

}  // namespace moiety::crypto
