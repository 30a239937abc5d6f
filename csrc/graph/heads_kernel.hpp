// Rows of scores (edges, heads) as one run of numbers, over Lanes<float> of the file that includes this one after its
// vector_*.hpp: where heads divide the lanes, a lane belongs to one head.
#pragma once

#include <cstring>

#include "graph/tile.hpp"

namespace moiety::graph {
namespace {

class HeadLanes {
  public:
    using L = Lanes<float>;
    using Register = L::Register;

    explicit HeadLanes(int64_t heads) : heads_(heads) {
        int32_t from[L::lanes];
        for (int64_t lane = 0; lane < L::lanes; ++lane) from[lane] = static_cast<int32_t>(lane % heads);
        repeat_ = L::map(from);
        for (int64_t step = heads; step < L::lanes; step *= 2) {
            for (int64_t lane = 0; lane < L::lanes; ++lane) from[lane] = static_cast<int32_t>(lane ^ step);
            turn_[turns_++] = L::map(from);
        }
    }
    // The numbers of the heads at p, repeated.
    Register repeat(const float* p) const { return L::spread(L::load_partial(p, heads_), repeat_); }
    // Every lane becomes `op` of all lanes of its head, all of them the same.
    template <class Op>
    Register fold(Register v, const Op& op) const {
        for (int k = 0; k < turns_; ++k) v = op(v, L::spread(v, turn_[k]));
        return v;
    }

  private:
    int64_t heads_;
    typename L::Map repeat_;
    typename L::Map turn_[5];
    int turns_ = 0;
};

// f(vector, offset, count) over n numbers at p; lanes behind the end are `fill`.
template <class F>
inline void for_vectors(const float* p, int64_t n, float fill, const F& f) {
    using L = Lanes<float>;
    int64_t k = 0;
    for (; k + L::lanes <= n; k += L::lanes) f(L::load(p + k), k, int64_t{L::lanes});
    if (k == n) return;
    float rest[L::lanes];
    L::store(rest, L::broadcast(fill));
    std::memcpy(rest, p + k, static_cast<size_t>(n - k) * sizeof(float));
    f(L::load(rest), k, n - k);
}

inline void store_some(float* p, typename Lanes<float>::Register v, int64_t count) {
    if (count == Lanes<float>::lanes)
        Lanes<float>::store(p, v);
    else
        Lanes<float>::store_partial(p, v, count);
}

}  // namespace
}  // namespace moiety::graph
