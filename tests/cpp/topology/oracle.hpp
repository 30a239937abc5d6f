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

// Echelon form by y, then by x among those with y = 0 (or the other way round): the number of pivots of each kind.
inline std::pair<int, int> pivots(std::vector<Pair> pairs) {
    int first = 0, second = 0;
    for (size_t i = 0; i < pairs.size(); ++i) {
        Pair p = pairs[i];
        if (p.x == 0 && p.y == 0) continue;
        const bool by_x = p.x != 0;
        const uint64_t bit = by_x ? p.x & -p.x : p.y & -p.y;
        by_x ? ++first : ++second;
        for (size_t j = i + 1; j < pairs.size(); ++j) {
            if (((by_x ? pairs[j].x : pairs[j].y) & bit) != 0) pairs[j] = {pairs[j].x ^ p.x, pairs[j].y ^ p.y};
        }
        // A pair with x = 0 that comes before one with x != 0 is no obstacle: pivots of x and of y are apart.
    }
    return {first, second};
}

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

// rank[p][q - p] for all p <= q.
inline std::vector<std::vector<int>> ranks(const std::vector<Event>& events, int d) {
    std::vector<uint64_t> complexes{0};
    for (const Event& e : events) complexes.push_back(complexes.back() ^ (uint64_t{1} << e.simplex));
    const size_t positions = complexes.size();
    std::vector<std::vector<int>> rank(positions);
    for (size_t p = 0; p < positions; ++p) {
        std::vector<Pair> relation;
        std::vector<uint64_t> known;  // boundaries and chosen cycles, echelon by the lowest bit
        const auto fresh = [&](uint64_t chain) {
            for (const uint64_t k : known) {
                if ((chain & (k & -k)) != 0) chain ^= k;
            }
            if (chain == 0) return false;
            known.push_back(chain);
            return true;
        };
        for (const uint64_t b : boundaries(complexes[p], d)) {
            fresh(b);
            relation.push_back({0, b});
        }
        int coordinates = 0;
        for (const uint64_t z : cycles(complexes[p], d)) {
            if (fresh(z)) relation.push_back({uint64_t{1} << coordinates++, z});
        }
        rank[p].push_back(coordinates);
        for (size_t q = p; q + 1 < positions; ++q) {
            const Event& e = events[q];
            if (e.insertion) {
                if (dimension_of(e.simplex) == d + 1) relation.push_back({0, boundary_of(e.simplex)});
            } else {  // only what has a representative without the deleted simplex goes on
                const uint64_t bit = uint64_t{1} << e.simplex;
                for (size_t i = 0; i < relation.size(); ++i) {
                    if ((relation[i].y & bit) == 0) continue;
                    const Pair gone = relation[i];
                    relation.erase(relation.begin() + static_cast<int64_t>(i));
                    for (Pair& other : relation) {
                        if ((other.y & bit) != 0) other = {other.x ^ gone.x, other.y ^ gone.y};
                    }
                    break;
                }
            }
            std::vector<Pair> image;
            for (const Pair& pair : relation) image.push_back({pair.y, 0});
            // The rank: dimension of the image less that of what 0 is related to.
            std::vector<Pair> ordered;
            for (const Pair& pair : relation) {
                if (pair.x != 0) ordered.push_back(pair);
            }
            std::vector<Pair> zero;
            for (size_t i = 0; i < ordered.size(); ++i) {
                if (ordered[i].x == 0) {
                    zero.push_back(ordered[i]);
                    continue;
                }
                const Pair pivot = ordered[i];
                for (size_t j = i + 1; j < ordered.size(); ++j) {
                    if ((ordered[j].x & (pivot.x & -pivot.x)) != 0) {
                        ordered[j] = {ordered[j].x ^ pivot.x, ordered[j].y ^ pivot.y};
                    }
                }
            }
            for (const Pair& pair : relation) {
                if (pair.x == 0) zero.push_back(pair);
            }
            rank[p].push_back(pivots(image).first - pivots(zero).second);
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
