// Random numbers that depend on a seed and a key alone, so that results do not depend on the number of threads.
//
// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): outputs are a bijective mix of a counter. A stream starts where a mix
// of (seed, key) puts it; streams of different keys are stretches of one sequence of period 2^64 and meet with a
// probability of about (number of streams)^2 (length of a stream) / 2^64. Not for secrets.
#pragma once

#include <cstdint>

namespace moiety::graph {

inline uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * uint64_t{0xbf58476d1ce4e5b9};
    z = (z ^ z >> 27) * uint64_t{0x94d049bb133111eb};
    return z ^ z >> 31;
}

class Stream {
  public:
    Stream(uint64_t seed, uint64_t key) : state_(mix(seed + step) ^ mix(~key * step)) {}

    uint64_t next() { return mix(state_ += step); }
    // Uniform on [0, bound), bound >= 1, up to a bias of bound / 2^64.
    int64_t below(int64_t bound) {
        __extension__ using Wide = unsigned __int128;
        return static_cast<int64_t>(static_cast<Wide>(next()) * static_cast<uint64_t>(bound) >> 64);
    }
    // Uniform on [0, 1).
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  private:
    static constexpr uint64_t step = 0x9e3779b97f4a7c15;
    uint64_t state_;
};

}  // namespace moiety::graph
