// The loops of the protocols that are worth wide registers, behind one table chosen at run time.
//
// Bit kernels work on planes of `words` 64-bit words, `words` apart from the next plane. `server` says whose share is
// computed: public terms are added by S alone. All are branch-free in the data.
#pragma once

#include <cstdint>

namespace moiety::mpc {

// One output of the node functions: the share is XORed with the party's share of the output's mask.
struct NodeOutput {
    const uint64_t* g_mask;
    uint64_t* g;
    const uint64_t* p_mask;  // null: P is not computed
    uint64_t* p;
};

template <class T>
struct RingKernels {
    // First half of a truncation or extension (linear.hpp): v = (y + offset) & mask; bit i of `top` = NOT bit
    // `position` of v (zero past n); out = (v >> shift) + back.
    void (*split)(int64_t n, const T* y, T offset, T mask, int position, int shift, T back, uint64_t* top, T* out);
    // Second half: out += (share of p*q - one) << modulus, for bits p (S) and q (C), from d = p ^ u and e = q ^ v
    // opened, own = u at S or v at C and a share of u*v: p q = A B uv + A e u + B d v + d e with A = 1-2d, B = 1-2e.
    void (*add_product)(int64_t n, bool server, const uint64_t* d, const uint64_t* e, const uint64_t* own, const T* uv,
                        int modulus, T one, T* out);
    // out = share of b*x from the opened bit db = b ^ beta and dx = x + delta, and shares of beta, delta and
    // beta*delta: b x = db (dx - delta) + (1-2db) (beta dx - beta delta).
    void (*select)(int64_t n, bool server, const uint64_t* db, const T* dx, const T* delta, const T* beta,
                   const T* beta_delta, T* out);
    // out = share of the bit b itself: db + (1-2db) beta.
    void (*bit_to_ring)(int64_t n, bool server, const uint64_t* db, const T* beta, T* out);
    // out = scale y + offset - mask: a factor of a cross term under its mask.
    void (*masked)(int64_t n, T scale, T offset, const T* y, const T* mask, T* out);
    // out = x y - mask.
    void (*masked_product)(int64_t n, const T* x, const T* y, const T* mask, T* out);
    // out += share of u v, from the opened d = u - a and e = v - b, own = a at S or b at C, and a share of a b.
    void (*add_cross)(int64_t n, bool server, const T* d, const T* e, const T* own, const T* ab, T* out);
    // out = x y.
    void (*product)(int64_t n, const T* x, const T* y, T* out);
    // S's end of x2: out = c2 (y^2 + q) + c1 y + c0 + c + (d + a) e + ab.
    void (*quadratic)(int64_t n, T c2, T c1, T c0, const T* y, const T* q, const T* c, const T* d, const T* e,
                      const T* a, const T* ab, T* out);
};

struct Kernels {
    // Leaf: masked inputs a~, b~ (radix planes each, lowest position first) and the party's own input masks.
    void (*leaf)(int radix, int64_t words, bool server, const uint64_t* a, const uint64_t* b, const uint64_t* own,
                 const uint64_t* products, const NodeOutput& out);
    // Inner node: masked (G, P) and the party's mask shares, lowest first; p[0] may be null when P is not computed.
    void (*inner)(int radix, int64_t words, bool server, const uint64_t* const* g, const uint64_t* const* p,
                  const uint64_t* const* g_mask, const uint64_t* const* p_mask, const uint64_t* products,
                  const NodeOutput& out);
    // The dealer's side: the client's shares of the products, from all masks in clear and the server's shares.
    void (*deal_leaf)(int radix, int64_t words, const uint64_t* alpha, const uint64_t* beta,
                      const uint64_t* server_products, uint64_t* client_products);
    void (*deal_inner)(int radix, bool with_p, int64_t words, const uint64_t* const* gamma, const uint64_t* const* pi,
                       const uint64_t* server_products, uint64_t* client_products);
    RingKernels<uint32_t> ring32;
    RingKernels<uint64_t> ring64;

    template <class T>
    const RingKernels<T>& ring() const {
        if constexpr (sizeof(T) == 4)
            return ring32;
        else
            return ring64;
    }
};

// The table for the active instruction set (core/cpu.hpp).
const Kernels& kernels();

}  // namespace moiety::mpc
