// Carry of a k-bit addition of two private numbers, bit-sliced, in masked-value form with radix-4 prefix nodes.
//
// S holds a, C holds b; positions i = 0..m-1 with m = k-1. g_i = a_i b_i, p_i = a_i ^ b_i; the carry into bit m is
//     G = G_3 ^ P_3 G_2 ^ P_3 P_2 G_1 ^ P_3 P_2 P_1 G_0,   P = P_3 P_2 P_1 P_0      (four neighbouring pairs, 3 the
//     highest)
// applied level by level to groups of four. Every wire v is held as a public masked value v~ = v ^ r and a shared mask
// r (Patra et al., ABY2.0, USENIX Security 2021, generalised from products to sums of products): a polynomial of wires
// is then a public combination of shared products of masks, so one opened bit a party makes one output, whatever its
// degree.
//
// A leaf takes a~_i = a_i ^ alpha_i and b~_i = b_i ^ beta_i with alpha_i known to S and beta_i known to C: g_i = a~b~ ^
// a~ beta ^ b~ alpha ^ alpha beta and p_i = (a~ ^ b~) ^ (alpha ^ beta) need no opening of their own.
//
// Who learns what: each party sees masked wires only, which are uniform. Rounds: 1 for the masked inputs, 1 a level.
// Bits opened by each party for an element: m for the inputs, then one for G and, but in the lowest group, one for P of
// every node. Correlation, bits for an element (closed formulas, checked against the plan by the tests):
//     leaf of radix r:           3 (2^r - 1) - 2 r              products alpha_j pi_S, beta_j pi_S, alpha_j beta_j pi_S
//     inner node of radix r:     (2^r - 1 - r) for gamma_j pi_S, and |S| >= 2 subsets of {1..r-1}, or {0..r-1} with P,
//     for pi_S
// where S runs over sets of higher positions and pi_S is the product of the masks of P over S.
//
// Layout: tiles of 64 words (4096 elements; the last one ragged). In a tile, plane after plane, each of the tile's
// words: so a node streams through planes that lie side by side, and a tile's material stays in the second-level cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moiety::mpc {

// A wire of the circuit: the masked value is plane `plane` of what level `level` opened; the mask is plane `mask` of
// the material's mask section. level -1: no wire.
struct Wire {
    int level = -1, plane = 0, mask = 0;
};

struct Node {
    int radix = 0;
    bool with_p = false;  // whether P is computed
    int products = 0;     // first plane in the product section
    int leaf = 0;         // first position, for leaves
    Wire g[4], p[4];      // inputs of inner nodes, lowest first
    Wire out_g, out_p;
};

// Which nodes there are for a k-bit comparison, and where everything lies.
class CircuitShape {
  public:
    explicit CircuitShape(int k);

    static constexpr int64_t tile_words = 64;

    int bits() const { return positions_ + 1; }
    int positions() const { return positions_; }
    int levels() const { return static_cast<int>(nodes_.size()); }
    const std::vector<Node>& nodes(int level) const { return nodes_[static_cast<size_t>(level)]; }
    int opened_planes(int level) const { return opened_[static_cast<size_t>(level)]; }
    int product_planes() const { return product_planes_; }
    // Mask shares that each party draws: one plane for every opened wire.
    int mask_planes() const { return mask_planes_; }
    // The carry out; opened_planes of the last level is 1.
    const Wire& carry() const { return carry_; }
    int rounds() const { return 1 + levels(); }

  private:
    int positions_ = 0, product_planes_ = 0, mask_planes_ = 0;
    std::vector<std::vector<Node>> nodes_;
    std::vector<int> opened_;
    Wire carry_;
};

int leaf_products(int radix);
int inner_products(int radix, bool with_p);

}  // namespace moiety::mpc
