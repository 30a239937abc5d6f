// The kernels of kernels.hpp over a vector width, for inclusion by one file an instruction set. Everything is in an
// anonymous namespace, so each file keeps its own copies compiled with its own flags.
#pragma once

#include <cstdint>

#include "mpc/kernels.hpp"

namespace moiety::mpc {
namespace {

template <class V>
inline V load(const uint64_t* from) {
    V v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}
template <class V>
inline void store(uint64_t* to, V v) {
    __builtin_memcpy(to, &v, sizeof v);
}

// A cursor over consecutive planes at one word position.
template <class V>
struct Planes {
    const uint64_t* at;
    int64_t words;
    V next() {
        V v = load<V>(at);
        at += words;
        return v;
    }
};

// `coef[S]` is the product of the masked P over the higher positions outside S, `pi[S]` the party's share of the
// product of their masks over S; bit t of S stands for the t-th highest position.
template <class V, int R, bool WithP>
inline void leaf_at(int64_t w, int64_t words, V pub, const uint64_t* a_planes, const uint64_t* b_planes,
                    const uint64_t* own_planes, const uint64_t* products, const NodeOutput& out) {
    V coef[1 << R], pi[1 << R];
    coef[0] = ~V{};
    V g = V{};
    Planes<V> product{products + w, words};
#pragma GCC unroll 4
    for (int t = 0; t < R; ++t) {
        const int64_t at = (R - 1 - t) * words + w;
        const int count = 1 << t;
        const V a = load<V>(a_planes + at), b = load<V>(b_planes + at), own = load<V>(own_planes + at);
        const V ab = a & b, p = a ^ b;
        g ^= coef[0] & ((ab & pub) ^ (a & own & ~pub) ^ (b & own & pub) ^ product.next());
#pragma GCC unroll 8
        for (int s = 1; s < count; ++s) {
            const V alpha_pi = product.next(), beta_pi = product.next(), both_pi = product.next();
            g ^= coef[s] & ((ab & pi[s]) ^ (a & beta_pi) ^ (b & alpha_pi) ^ both_pi);
            pi[count + s] = alpha_pi ^ beta_pi;
        }
        pi[count] = own;
#pragma GCC unroll 8
        for (int s = 0; s < count; ++s) {
            coef[count + s] = coef[s];
            coef[s] &= p;
        }
    }
    store(out.g + w, g ^ load<V>(out.g_mask + w));
    if constexpr (WithP) {
        V share = coef[0] & pub;
#pragma GCC unroll 16
        for (int s = 1; s < (1 << R); ++s) share ^= coef[s] & pi[s];
        store(out.p + w, share ^ load<V>(out.p_mask + w));
    }
}

template <class V, int R, bool WithP>
inline void inner_at(int64_t w, int64_t words, V pub, const uint64_t* const* g_in, const uint64_t* const* p_in,
                     const uint64_t* const* g_mask, const uint64_t* const* p_mask, const uint64_t* products,
                     const NodeOutput& out) {
    V coef[1 << R], pi[1 << R];
    coef[0] = ~V{};
    V result = V{};
    Planes<V> product{products + w, words};
#pragma GCC unroll 4
    for (int t = 0; t < R; ++t) {
        const int j = R - 1 - t;
        const int count = 1 << t;
        const V g = load<V>(g_in[j] + w);
        result ^= coef[0] & ((g & pub) ^ load<V>(g_mask[j] + w));
#pragma GCC unroll 8
        for (int s = 1; s < count; ++s) result ^= coef[s] & ((g & pi[s]) ^ product.next());
        if (WithP || j > 0) {
            const V p = load<V>(p_in[j] + w);
#pragma GCC unroll 8
            for (int s = 1; s < count; ++s) pi[count + s] = product.next();
            pi[count] = load<V>(p_mask[j] + w);
#pragma GCC unroll 8
            for (int s = 0; s < count; ++s) {
                coef[count + s] = coef[s];
                coef[s] &= p;
            }
        }
    }
    store(out.g + w, result ^ load<V>(out.g_mask + w));
    if constexpr (WithP) {
        V share = coef[0] & pub;
#pragma GCC unroll 16
        for (int s = 1; s < (1 << R); ++s) share ^= coef[s] & pi[s];
        store(out.p + w, share ^ load<V>(out.p_mask + w));
    }
}

// Runs step<V> over whole vectors and step<uint64_t> over the tail.
template <class V, class Wide, class Narrow>
inline void over_words(int64_t words, Wide wide, Narrow narrow) {
    constexpr int64_t lanes = sizeof(V) / 8;
    int64_t w = 0;
    for (; w + lanes <= words; w += lanes) wide(w);
    for (; w < words; ++w) narrow(w);
}

template <class V>
inline V broadcast(bool on) {
    return on ? ~V{} : V{};
}

template <class V, int R>
void leaf_radix(int64_t words, bool server, const uint64_t* a, const uint64_t* b, const uint64_t* own,
                const uint64_t* products, const NodeOutput& out) {
    const V pub = broadcast<V>(server);
    const uint64_t pub1 = broadcast<uint64_t>(server);
    if (out.p != nullptr)
        over_words<V>(
            words, [&](int64_t w) { leaf_at<V, R, true>(w, words, pub, a, b, own, products, out); },
            [&](int64_t w) { leaf_at<uint64_t, R, true>(w, words, pub1, a, b, own, products, out); });
    else
        over_words<V>(
            words, [&](int64_t w) { leaf_at<V, R, false>(w, words, pub, a, b, own, products, out); },
            [&](int64_t w) { leaf_at<uint64_t, R, false>(w, words, pub1, a, b, own, products, out); });
}

template <class V>
void leaf(int radix, int64_t words, bool server, const uint64_t* a, const uint64_t* b, const uint64_t* own,
          const uint64_t* products, const NodeOutput& out) {
    switch (radix) {
        case 1: return leaf_radix<V, 1>(words, server, a, b, own, products, out);
        case 2: return leaf_radix<V, 2>(words, server, a, b, own, products, out);
        case 3: return leaf_radix<V, 3>(words, server, a, b, own, products, out);
        default: return leaf_radix<V, 4>(words, server, a, b, own, products, out);
    }
}

template <class V, int R>
void inner_radix(int64_t words, bool server, const uint64_t* const* g, const uint64_t* const* p,
                 const uint64_t* const* g_mask, const uint64_t* const* p_mask, const uint64_t* products,
                 const NodeOutput& out) {
    const V pub = broadcast<V>(server);
    const uint64_t pub1 = broadcast<uint64_t>(server);
    if (out.p != nullptr)
        over_words<V>(
            words, [&](int64_t w) { inner_at<V, R, true>(w, words, pub, g, p, g_mask, p_mask, products, out); },
            [&](int64_t w) { inner_at<uint64_t, R, true>(w, words, pub1, g, p, g_mask, p_mask, products, out); });
    else
        over_words<V>(
            words, [&](int64_t w) { inner_at<V, R, false>(w, words, pub, g, p, g_mask, p_mask, products, out); },
            [&](int64_t w) { inner_at<uint64_t, R, false>(w, words, pub1, g, p, g_mask, p_mask, products, out); });
}

template <class V>
void inner(int radix, int64_t words, bool server, const uint64_t* const* g, const uint64_t* const* p,
           const uint64_t* const* g_mask, const uint64_t* const* p_mask, const uint64_t* products,
           const NodeOutput& out) {
    switch (radix) {
        case 2: return inner_radix<V, 2>(words, server, g, p, g_mask, p_mask, products, out);
        case 3: return inner_radix<V, 3>(words, server, g, p, g_mask, p_mask, products, out);
        default: return inner_radix<V, 4>(words, server, g, p, g_mask, p_mask, products, out);
    }
}

// The dealer writes the products in the order in which the parties read them.
template <class V>
struct Dealt {
    const uint64_t* server;
    uint64_t* client;
    int64_t words;
    void next(V product) {
        store(client, product ^ load<V>(server));
        server += words;
        client += words;
    }
};

template <class V>
inline void deal_leaf_at(int radix, int64_t w, int64_t words, const uint64_t* alpha_planes, const uint64_t* beta_planes,
                         const uint64_t* server, uint64_t* client) {
    V pi[16];
    Dealt<V> dealt{server + w, client + w, words};
    for (int t = 0; t < radix; ++t) {
        const int64_t at = (radix - 1 - t) * words + w;
        const int count = 1 << t;
        const V alpha = load<V>(alpha_planes + at), beta = load<V>(beta_planes + at);
        dealt.next(alpha & beta);
        for (int s = 1; s < count; ++s) {
            dealt.next(alpha & pi[s]);
            dealt.next(beta & pi[s]);
            dealt.next(alpha & beta & pi[s]);
            pi[count + s] = (alpha ^ beta) & pi[s];
        }
        pi[count] = alpha ^ beta;
    }
}

template <class V>
inline void deal_inner_at(int radix, bool with_p, int64_t w, int64_t words, const uint64_t* const* gamma,
                          const uint64_t* const* pi_in, const uint64_t* server, uint64_t* client) {
    V pi[16];
    Dealt<V> dealt{server + w, client + w, words};
    for (int t = 0; t < radix; ++t) {
        const int j = radix - 1 - t;
        const int count = 1 << t;
        const V g = load<V>(gamma[j] + w);
        for (int s = 1; s < count; ++s) dealt.next(g & pi[s]);
        if (with_p || j > 0) {
            const V p = load<V>(pi_in[j] + w);
            for (int s = 1; s < count; ++s) {
                pi[count + s] = p & pi[s];
                dealt.next(pi[count + s]);
            }
            pi[count] = p;
        }
    }
}

template <class V>
void deal_leaf(int radix, int64_t words, const uint64_t* alpha, const uint64_t* beta, const uint64_t* server,
               uint64_t* client) {
    over_words<V>(
        words, [&](int64_t w) { deal_leaf_at<V>(radix, w, words, alpha, beta, server, client); },
        [&](int64_t w) { deal_leaf_at<uint64_t>(radix, w, words, alpha, beta, server, client); });
}

template <class V>
void deal_inner(int radix, bool with_p, int64_t words, const uint64_t* const* gamma, const uint64_t* const* pi,
                const uint64_t* server, uint64_t* client) {
    over_words<V>(
        words, [&](int64_t w) { deal_inner_at<V>(radix, with_p, w, words, gamma, pi, server, client); },
        [&](int64_t w) { deal_inner_at<uint64_t>(radix, with_p, w, words, gamma, pi, server, client); });
}

template <class T>
void split(int64_t n, const T* y, T offset, T mask, int position, int shift, T back, uint64_t* top, T* out) {
    for (int64_t base = 0; base < n; base += 64) {
        const int64_t count = n - base < 64 ? n - base : 64;
        uint64_t word = 0;
        for (int64_t i = 0; i < count; ++i) {
            const T v = (y[base + i] + offset) & mask;
            word |= static_cast<uint64_t>(~(v >> position) & 1) << i;
            out[base + i] = (v >> shift) + back;
        }
        top[base / 64] = word;
    }
}

template <class T>
void add_product(int64_t n, bool server, const uint64_t* d_words, const uint64_t* e_words, const uint64_t* own_words,
                 const T* uv, int modulus, T one, T* out) {
    for (int64_t base = 0; base < n; base += 64) {
        const uint64_t d_word = d_words[base / 64], e_word = e_words[base / 64], own_word = own_words[base / 64];
        // S adds A e u + d e, C adds B d v.
        const uint64_t other_word = server ? e_word : d_word;
        const uint64_t flip_word = server ? d_word : e_word;
        const uint64_t public_word = server ? d_word & e_word : 0;
        const uint64_t negative_word = d_word ^ e_word, product_word = other_word & own_word;
        const int64_t count = n - base < 64 ? n - base : 64;
        for (int64_t i = 0; i < count; ++i) {
            const T negative = static_cast<T>((negative_word >> i) & 1);
            const T product = static_cast<T>((product_word >> i) & 1);
            const T flip = static_cast<T>((flip_word >> i) & 1);
            const T pub = static_cast<T>((public_word >> i) & 1);
            const T share = ((uv[base + i] ^ (T{} - negative)) + negative) + ((product ^ (T{} - flip)) + flip) + pub;
            out[base + i] += (share - one) << modulus;
        }
    }
}

template <class T>
void select(int64_t n, bool server, const uint64_t* db_words, const T* dx, const T* delta, const T* beta,
            const T* beta_delta, T* out) {
    const T pub = server ? ~T{} : T{};
    for (int64_t base = 0; base < n; base += 64) {
        const uint64_t word = db_words[base / 64];
        const int64_t count = n - base < 64 ? n - base : 64;
        for (int64_t i = 0; i < count; ++i) {
            const int64_t at = base + i;
            const T db = T{} - static_cast<T>((word >> i) & 1);  // all ones when the bit is set
            const T masked = dx[at] * beta[at] - beta_delta[at];
            out[at] = (db & ((dx[at] & pub) - delta[at])) + ((masked ^ db) - db);
        }
    }
}

template <class T>
void bit_to_ring(int64_t n, bool server, const uint64_t* db_words, const T* beta, T* out) {
    const T pub = server ? T{1} : T{};
    for (int64_t base = 0; base < n; base += 64) {
        const uint64_t word = db_words[base / 64];
        const int64_t count = n - base < 64 ? n - base : 64;
        for (int64_t i = 0; i < count; ++i) {
            const T bit = static_cast<T>((word >> i) & 1);
            out[base + i] = (bit & pub) + ((beta[base + i] ^ (T{} - bit)) + bit);
        }
    }
}

template <class T>
void masked(int64_t n, T scale, T offset, const T* y, const T* mask, T* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = scale * y[i] + offset - mask[i];
}

template <class T>
void masked_product(int64_t n, const T* x, const T* y, const T* mask, T* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = x[i] * y[i] - mask[i];
}

template <class T>
void add_cross(int64_t n, bool server, const T* d, const T* e, const T* own, const T* ab, T* out) {
    if (server)
        for (int64_t i = 0; i < n; ++i) out[i] += (d[i] + own[i]) * e[i] + ab[i];
    else
        for (int64_t i = 0; i < n; ++i) out[i] += d[i] * own[i] + ab[i];
}

template <class T>
void product(int64_t n, const T* x, const T* y, T* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = x[i] * y[i];
}

template <class T>
void quadratic(int64_t n, T c2, T c1, T c0, const T* y, const T* q, const T* c, const T* d, const T* e, const T* a,
               const T* ab, T* out) {
    for (int64_t i = 0; i < n; ++i)
        out[i] = c2 * (y[i] * y[i] + q[i]) + c1 * y[i] + c0 + c[i] + (d[i] + a[i]) * e[i] + ab[i];
}

template <class T>
constexpr RingKernels<T> make_ring_kernels() {
    return {split<T>,          add_product<T>, select<T>,  bit_to_ring<T>, masked<T>,
            masked_product<T>, add_cross<T>,   product<T>, quadratic<T>};
}

template <class V>
constexpr Kernels make_kernels() {
    return {
        leaf<V>, inner<V>, deal_leaf<V>, deal_inner<V>, make_ring_kernels<uint32_t>(), make_ring_kernels<uint64_t>()};
}

}  // namespace
}  // namespace moiety::mpc
