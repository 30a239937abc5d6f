// Zigzag barcodes by brute force: multiplicities of intervals from ranks of linear relations over Z2.
//
// A simplex on at most 6 vertices is a mask s in [1, 64), a chain is a word with bit s for every simplex s of it. For
// p <= q the maps between H(K_p), ..., H(K_q) compose, forwards and backwards, to a linear relation between H(K_p) and
// H(K_q); its rank r(p, q) is the number of bars that contain [p, q], so that exactly
// r(p, q) - r(p - 1, q) - r(p, q + 1) + r(p - 1, q + 1) bars are [p, q].
#pragma once

#include <bit>
#include <cstdint>
#include <tuple>
#include <vector>

namespace moiety::test {

struct Event {
    bool insertion;
    uint32_t simplex;  // a mask of vertices
};

using Bar = std::tuple<int, int, int, int>;  // dimension, first, last, kind (csrc/topology/cells.hpp)

inline int dimension_of(uint32_t simplex) { return std::popcount(simplex) - 1; }

inline uint64_t boundary_of(uint32_t simplex) {
    uint64_t chain = 0;
    if (dimension_of(simplex) == 0) return 0;
    for (uint32_t rest = simplex; rest != 0; rest &= rest - 1) chain ^= uint64_t{1} << (simplex ^ (rest & -rest));
    return chain;
}

// A pair of vectors, as an element of a relation.
struct Pair {
    uint64_t x, y;
};

// Cycles of dimension d among the simplices in `present`, as a basis.
inline std::vector<uint64_t> cycles(uint64_t present, int d) {
    std::vector<Pair> columns;  // x: the boundary, y: the chain
    std::vector<uint64_t> basis;
    for (uint32_t s = 1; s < 64; ++s) {
        if ((present >> s & 1) == 0 || dimension_of(s) != d) continue;
        Pair p{boundary_of(s), uint64_t{1} << s};
        for (const Pair& c : columns) {
            if ((p.x & (c.x & -c.x)) != 0) p = {p.x ^ c.x, p.y ^ c.y};
        }
        p.x == 0 ? basis.push_back(p.y) : columns.push_back(p);
    }
    return basis;
}

inline std::vector<uint64_t> boundaries(uint64_t present, int d) {
    std::vector<uint64_t> span;
    for (uint32_t s = 1; s < 64; ++s) {
        if ((present >> s & 1) != 0 && dimension_of(s) == d + 1) span.push_back(boundary_of(s));
    }
    return span;
}

inline std::vector<uint64_t> complexes_of(const std::vector<Event>& events) {
    std::vector<uint64_t> complexes{0};
    for (const Event& e : events) complexes.push_back(complexes.back() ^ (uint64_t{1} << e.simplex));
    return complexes;
}

// Chains are independent of an echelon form, whose elements are told apart by their lowest bits, or are spanned by it.
class Echelon {
  public:
    bool add(uint64_t chain) {  // false if it was spanned
        for (const uint64_t k : known_) {
            if ((chain & (k & -k)) != 0) chain ^= k;
        }
        if (chain != 0) known_.push_back(chain);
        return chain != 0;
    }
    int size() const { return static_cast<int>(known_.size()); }

  private:
    std::vector<uint64_t> known_;
};

inline bool spanned(const std::vector<uint64_t>& span, uint64_t chain) {
    Echelon e;
    for (const uint64_t s : span) e.add(s);
    return !e.add(chain);
}

// The relation between H_d(K_p), in coordinates, and cycles of K_q, as a list of pairs that span it; q moves right.
class Relation {
  public:
    Relation(const std::vector<Event>& events, size_t p, int d) : events_(events), q_(p), d_(d) {
        const uint64_t complex = complexes_of(events)[p];
        Echelon known;
        for (const uint64_t b : boundaries(complex, d)) {
            known.add(b);
            pairs_.push_back({0, b});
        }
        for (const uint64_t z : cycles(complex, d)) {
            if (known.add(z)) pairs_.push_back({uint64_t{1} << betti_++, z});
        }
    }
    int betti() const { return betti_; }
    const std::vector<Pair>& pairs() const { return pairs_; }
    void advance() {
        const Event& e = events_[q_++];
        if (e.insertion) {
            if (dimension_of(e.simplex) == d_ + 1) pairs_.push_back({0, boundary_of(e.simplex)});
            return;
        }
        const uint64_t bit = uint64_t{1} << e.simplex;  // only what has a representative without it goes on
        for (size_t i = 0; i < pairs_.size(); ++i) {
            if ((pairs_[i].y & bit) == 0) continue;
            const Pair gone = pairs_[i];
            pairs_.erase(pairs_.begin() + static_cast<int64_t>(i));
            for (Pair& other : pairs_) {
                if ((other.y & bit) != 0) other = {other.x ^ gone.x, other.y ^ gone.y};
            }
            return;
        }
    }
    // The dimension of the image less that of what 0 is related to.
    int rank() const {
        Echelon image, of_zero;
        std::vector<Pair> rest = pairs_;
        for (size_t i = 0; i < rest.size(); ++i) {
            image.add(rest[i].y);
            if (rest[i].x == 0) {
                of_zero.add(rest[i].y);
                continue;
            }
            const uint64_t bit = rest[i].x & -rest[i].x;
            for (size_t j = i + 1; j < rest.size(); ++j) {
                if ((rest[j].x & bit) != 0) rest[j] = {rest[j].x ^ rest[i].x, rest[j].y ^ rest[i].y};
            }
        }
        return image.size() - of_zero.size();
    }

  private:
    const std::vector<Event>& events_;
    size_t q_;
    int d_, betti_ = 0;
    std::vector<Pair> pairs_;
};

// The cycles of K_last that something in K_first is related to.
inline std::vector<uint64_t> carried(const std::vector<Event>& events, size_t first, size_t last, int d) {
    Relation relation(events, first, d);
    for (size_t q = first; q < last; ++q) relation.advance();
    std::vector<uint64_t> span;
    for (const Pair& pair : relation.pairs()) span.push_back(pair.y);
    return span;
}

// rank[p][q - p] for all p <= q.
inline std::vector<std::vector<int>> ranks(const std::vector<Event>& events, int d) {
    std::vector<std::vector<int>> rank(events.size() + 1);
    for (size_t p = 0; p <= events.size(); ++p) {
        Relation relation(events, p, d);
        rank[p].push_back(relation.betti());
        for (size_t q = p; q < events.size(); ++q) {
            relation.advance();
            rank[p].push_back(relation.rank());
        }
    }
    return rank;
}

inline std::vector<Bar> bars_by_ranks(const std::vector<Event>& events, int max_dimension) {
    std::vector<Bar> bars;
    const int final = static_cast<int>(events.size());
    for (int d = 0; d <= max_dimension; ++d) {
        const auto rank = ranks(events, d);
        const auto r = [&](int p, int q) {
            return p < 0 || q > final ? 0 : rank[static_cast<size_t>(p)][static_cast<size_t>(q - p)];
        };
        for (int p = 0; p <= final; ++p) {
            for (int q = p; q <= final; ++q) {
                const int many = r(p, q) - r(p - 1, q) - r(p, q + 1) + r(p - 1, q + 1);
                const int open_birth = p > 0 && !events[static_cast<size_t>(p) - 1].insertion;
                const int open_death = q < final && events[static_cast<size_t>(q)].insertion;
                for (int k = 0; k < many; ++k) bars.emplace_back(d, p, q, open_birth + 2 * open_death);
            }
        }
    }
    return bars;
}

}  // namespace moiety::test
