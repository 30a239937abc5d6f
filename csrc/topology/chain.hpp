// Chains over Z2: sorted lists of cell numbers, and the structure in which long ones are summed.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace moiety::topology {

using Chain = std::vector<int32_t>;

// Sorts a list of summands and drops what occurs an even number of times.
inline void cancel(Chain& chain) {
    std::sort(chain.begin(), chain.end());
    size_t kept = 0;
    for (size_t i = 0; i < chain.size();) {
        size_t end = i + 1;
        while (end < chain.size() && chain[end] == chain[i]) ++end;
        if ((end - i) & 1) chain[kept++] = chain[i];
        i = end;
    }
    chain.resize(kept);
}

// A set of numbers below `size` that is toggled and asked for its maximum in O(log_64 size): a bit an element, and a
// bit for every word of 64 that is not empty, and so on. Empty again whenever it has been drained.
class BitTree {
  public:
    void resize(int64_t size) {
        levels_.clear();
        do {
            size = (size + 63) / 64;
            levels_.emplace_back(static_cast<size_t>(size), uint64_t{0});
        } while (size > 1);
    }
    void toggle(int32_t element) {
        size_t i = static_cast<size_t>(element);
        for (auto& level : levels_) {
            uint64_t& word = level[i >> 6];
            const uint64_t before = word;
            word ^= uint64_t{1} << (i & 63);
            if (before != 0 && word != 0) return;
            i >>= 6;
        }
    }
    int32_t max() const {  // -1 when empty
        size_t i = 0;
        for (size_t l = levels_.size(); l-- > 0;) {
            const uint64_t word = levels_[l][i];
            if (word == 0) return -1;
            i = (i << 6) | static_cast<size_t>(63 - std::countl_zero(word));
        }
        return static_cast<int32_t>(i);
    }
    // Appends the elements, falling, and empties the set.
    template <class List>
    void drain(List& into) {
        for (int32_t m = max(); m >= 0; m = max()) {
            into.push_back(m);
            toggle(m);
        }
    }

  private:
    std::vector<std::vector<uint64_t>> levels_;
};

}  // namespace moiety::topology
