// The bit-sliced prefix circuit of a k-bit comparison, one tile of up to 4096 elements (csrc/mpc/circuit.hpp has the
// mathematics: radix-4 nodes on publicly masked wires, one opened bit a party and output).
//
// A plane is one bit of every element, a word 64 elements of it. Words stream: a node first takes in the planes of its
// products, then makes one word of its outputs a cycle, all of its up to 16 terms at once. In the material a node's
// products follow those of the node before it, so one sequential stream feeds the whole circuit.
#pragma once

#include <moiety/types.hpp>

namespace moiety {

constexpr int max_positions = 63, max_wires = 39, max_levels = 3, max_nodes = 16, max_node_products = 37;

// A wire that the circuit opens is known by its number: the plane of the material's mask section that hides it.
struct Node {
    int radix, first;  // first position, for leaves
    bool with_p;
    int g[4], p[4];  // wires that an inner node reads, lowest first; p[0] is -1 where P is not computed
    int out_g, out_p;
};

struct CircuitShape {
    int positions, levels, wires, products;
    int nodes_in[max_levels], opened_in[max_levels], products_in[max_levels];
    Node nodes[max_levels][max_nodes];

    int carry() const { return wires - 1; }
    int products_before(int level) const {
        int planes = 0;
        for (int l = 0; l < level; ++l) planes += products_in[l];
        return planes;
    }
    // Words of one tile's material: own input masks, wires' masks, products.
    int material_words(int words) const { return (positions + wires + products) * words; }
};

constexpr int leaf_products(int radix) { return 3 * ((1 << radix) - 1) - 2 * radix; }
constexpr int inner_products(int radix, bool with_p) {
    return (1 << radix) - 1 - radix + (1 << (with_p ? radix : radix - 1)) - 1 - (with_p ? radix : radix - 1);
}

inline CircuitShape circuit_shape(int bits) {
    CircuitShape shape;
    shape.positions = bits - 1;
    shape.levels = shape.wires = shape.products = 0;
    int g[max_nodes], p[max_nodes];
    int width = shape.positions;
levels:
    for (int level = 0; level < max_levels && (level == 0 || width > 1); ++level) {
        int count = 0, next = 0;
        shape.opened_in[level] = shape.products_in[level] = 0;
    nodes:
        for (int first = 0; first < width; first += 4) {
            const int radix = width - first < 4 ? width - first : 4;
            if (level > 0 && radix == 1) {  // nothing to combine: the pair moves up as it is
                g[next] = g[first];
                p[next++] = p[first];
                continue;
            }
            Node node;
            node.radix = radix;
            node.first = first;
            node.with_p = first > 0;
            shape.products_in[level] += level == 0 ? leaf_products(radix) : inner_products(radix, node.with_p);
            for (int i = 0; i < 4; ++i) {
                node.g[i] = level > 0 && i < radix ? g[first + i] : -1;
                node.p[i] = level > 0 && i < radix ? p[first + i] : -1;
            }
            node.out_g = shape.wires++;
            node.out_p = node.with_p ? shape.wires++ : -1;
            shape.opened_in[level] += node.with_p ? 2 : 1;
            g[next] = node.out_g;
            p[next++] = node.out_p;
            shape.nodes[level][count++] = node;
        }
        shape.nodes_in[level] = count;
        shape.products += shape.products_in[level];
        shape.levels = level + 1;
        width = next;
    }
    return shape;
}

// The planes of one tile: inputs under their masks (a of S, b of C), and every wire: its mask's share and its masked
// value.
struct Planes {
    word own[max_positions][tile_words], a[max_positions][tile_words], b[max_positions][tile_words];
    word mask[max_wires][tile_words], value[max_wires][tile_words];
};

// Terms of a node, by the set s of higher positions whose masks they multiply; bit t of s is the t-th highest.
// coef[s]: the masked P outside s; pi[s]: this party's share of the product of the masks inside s.
struct Terms {
    word coef[16], pi[16];

    // Takes in the next lower P: masked value p, shares of its mask's products given for sets up to count.
    void extend(int count, word p) {
#pragma HLS INLINE
        for (int s = 0; s < count; ++s) {
#pragma HLS UNROLL
            coef[count + s] = coef[s];
            coef[s] = coef[s] & p;
        }
    }
    word p_share(int radix, word pub) const {
#pragma HLS INLINE
        word share = coef[0] & pub;
        for (int s = 1; s < 16; ++s) {
#pragma HLS UNROLL
            if (s < (1 << radix)) share ^= coef[s] & pi[s];
        }
        return share;
    }
};

// One word of a leaf: G of `radix` positions, and the terms from which P follows. `product`: the node's planes here;
// the t-th highest position reads 3 * 2^t - 2 of them, so every index is a constant once the loops are unrolled.
inline word leaf_word(int radix, word pub, const word a[4], const word b[4], const word own[4],
                      const word product[max_node_products], Terms& terms) {
#pragma HLS INLINE
    word g = 0;
    terms.coef[0] = ~word(0);
    for (int t = 0; t < 4; ++t) {
#pragma HLS UNROLL
        if (t < radix) {
            const int j = radix - 1 - t, count = 1 << t, first = 3 * (count - 1) - 2 * t;
            const word ab = a[j] & b[j];
            g ^= terms.coef[0] & ((ab & pub) ^ (a[j] & own[j] & ~pub) ^ (b[j] & own[j] & pub) ^ product[first]);
            for (int s = 1; s < count; ++s) {
#pragma HLS UNROLL
                const int at = first + 3 * s - 2;
                const word alpha_pi = product[at], beta_pi = product[at + 1], both_pi = product[at + 2];
                g ^= terms.coef[s] & ((ab & terms.pi[s]) ^ (a[j] & beta_pi) ^ (b[j] & alpha_pi) ^ both_pi);
                terms.pi[count + s] = alpha_pi ^ beta_pi;
            }
            terms.pi[count] = own[j];
            terms.extend(count, a[j] ^ b[j]);
        }
    }
    return g;
}

// One word of an inner node; the t-th highest pair reads 2^t - 1 products with its G and, if P goes on, as many masks'.
inline word inner_word(int radix, bool with_p, word pub, const word g[4], const word p[4], const word g_mask[4],
                       const word p_mask[4], const word product[max_node_products], Terms& terms) {
#pragma HLS INLINE
    word result = 0;
    terms.coef[0] = ~word(0);
    for (int t = 0; t < 4; ++t) {
#pragma HLS UNROLL
        if (t < radix) {
            const int j = radix - 1 - t, count = 1 << t, first = 2 * (count - 1 - t);
            result ^= terms.coef[0] & ((g[j] & pub) ^ g_mask[j]);
            for (int s = 1; s < count; ++s) {
#pragma HLS UNROLL
                result ^= terms.coef[s] & ((g[j] & terms.pi[s]) ^ product[first + s - 1]);
            }
            if (with_p || j > 0) {
                for (int s = 1; s < count; ++s) {
#pragma HLS UNROLL
                    terms.pi[count + s] = product[first + count - 1 + s - 1];
                }
                terms.pi[count] = p_mask[j];
                terms.extend(count, p[j]);
            }
        }
    }
    return result;
}

// Evaluates one level: this party's shares of its outputs go to `message`, plane after plane, and into planes.value.
// In the last level the carry becomes b = 1 ^ sign_S ^ sign_C ^ carry; `sign` holds the own top bits.
inline void evaluate_level(const CircuitShape& shape, int level, int words, bool server, Planes& planes,
                           const word sign[tile_words], hls::stream<word>& material, hls::stream<word>& message) {
    const word pub = server ? ~word(0) : word(0);
    const bool last = level + 1 == shape.levels;
    word product[max_node_products][tile_words], p_out[tile_words];
#pragma HLS ARRAY_PARTITION variable = product complete dim = 1
node:
    for (int n = 0; n < shape.nodes_in[level]; ++n) {
        const Node& node = shape.nodes[level][n];
        const int count = level == 0 ? leaf_products(node.radix) : inner_products(node.radix, node.with_p);
    products:
        for (int plane = 0; plane < count; ++plane)
            for (int w = 0; w < words; ++w) {
#pragma HLS PIPELINE II = 1
                product[plane][w] = material.read();
            }
    outputs:
        for (int w = 0; w < words; ++w) {
#pragma HLS PIPELINE II = 1
            word here[max_node_products], in[4][4];
            for (int i = 0; i < max_node_products; ++i) {
#pragma HLS UNROLL
                here[i] = i < count ? product[i][w] : word(0);
            }
            for (int i = 0; i < 4; ++i) {
#pragma HLS UNROLL
                if (i >= node.radix) continue;
                const bool has_p = node.p[i] >= 0;
                in[0][i] = level == 0 ? planes.a[node.first + i][w] : planes.value[node.g[i]][w];
                in[1][i] = level == 0 ? planes.b[node.first + i][w] : planes.mask[node.g[i]][w];
                in[2][i] = level == 0 ? planes.own[node.first + i][w] : has_p ? planes.value[node.p[i]][w] : word(0);
                in[3][i] = has_p ? planes.mask[node.p[i]][w] : word(0);
            }
            Terms terms;
            word g = level == 0 ? leaf_word(node.radix, pub, in[0], in[1], in[2], here, terms)
                                : inner_word(node.radix, node.with_p, pub, in[0], in[2], in[1], in[3], here, terms);
            g ^= planes.mask[node.out_g][w];
            if (last) g ^= server ? word(~sign[w]) : sign[w];
            planes.value[node.out_g][w] = g;
            message.write(g);
            if (node.with_p) {
                p_out[w] = terms.p_share(node.radix, pub) ^ planes.mask[node.out_p][w];
                planes.value[node.out_p][w] = p_out[w];
            }
        }
        if (node.with_p) {
        p_outputs:
            for (int w = 0; w < words; ++w) {
#pragma HLS PIPELINE II = 1
                message.write(p_out[w]);
            }
        }
    }
}

// The peer's shares of one level's outputs, in the order of the message: the wires become opened values.
inline void take_level(const CircuitShape& shape, int level, int words, Planes& planes, hls::stream<word>& peer) {
    for (int n = 0; n < shape.nodes_in[level]; ++n) {
        const Node& node = shape.nodes[level][n];
        for (int out = 0; out < (node.with_p ? 2 : 1); ++out)
            for (int w = 0; w < words; ++w) {
#pragma HLS PIPELINE II = 1
                planes.value[out == 0 ? node.out_g : node.out_p][w] ^= peer.read();
            }
    }
}

}  // namespace moiety
