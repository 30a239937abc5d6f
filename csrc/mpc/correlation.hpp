// Correlated randomness: what the dealer makes, what each party is sent and what it expands from its own seed.
//
// Every request of a plan is dealt from two seeds, one a party, and (for linear layers) the seed of the weight mask A
// that the server keeps for one weight epoch. Whatever a party can draw from its seed costs no byte; the corrections
// that make the two halves fit go to the client, and the correction words of comparison keys to both. Stream
// `component` of request i is AES-CTR under the party's seed with nonce 256 i + component. The dealer sees shapes only:
// neither data nor weights, nor anything that depends on them.
//
//   kind         server                        client                 relation
//   mask         -                             B uniform              (n ring elements)
//   mask_concat  -                             B' = [B_1, B_2, ..] for each of `batch` leading entries; derived from
//   earlier masks, as mask_add                                   B' = B_1 + B_2 + .., and mask_view B'[i] = B[offset +
//   sum i_j strides_j] over `shape` (slices and permutations) linear       A (layer), C_S                C_C C_S + C_C
//   = conv(B, A) bit_product  bit u, share                  bit v, share           shares of u*v mod 2^bits cross a,
//   share                      b, share               shares of a*b mod 2^ring sparse        shares of a, B, S(a) B
//   likewise               (sparse.hpp) circuit      masks, products
//   (circuit.hpp) likewise               and shares for selection, below dcf          r_S, key 0, bits r_C, key 1, bits
//   keys for [x < low_(k-1)(r)], XOR shares of msb(r) and lambda
//
// Selection material of circuit and dcf, for beta = the mask of the compared bit (the last circuit wire, or lambda):
// shares of beta in the ring of the widest operand, and for every operand of w bits shares of delta and beta*delta mod
// 2^w. With `self_operand` the first operand is the compared value itself; a dcf then reuses r as its delta and z as
// its masked value.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "crypto/prg.hpp"
#include "mpc/circuit.hpp"
#include "mpc/pattern.hpp"
#include "ring/conv.hpp"

namespace moiety::mpc {

enum class Kind { mask, mask_concat, mask_add, mask_view, linear, bit_product, cross, circuit, dcf, sparse };
Kind kind_from_name(const std::string& name);
std::string kind_name(Kind kind);

struct View {
    std::vector<int64_t> shape, strides;
    int64_t offset = 0;
};

struct Request {
    Kind kind = Kind::mask;
    int64_t n = 0;              // elements, batch included (linear: elements of the output)
    int bits = 0;               // compared bits k, or t of bit_product
    std::vector<int> operands;  // widths of what is multiplied with the bit (circuit, dcf)
    bool self_operand = false;
    int indicator_bits = 0;                  // > 0: the bit itself is wanted as a share mod 2^indicator_bits
    ring::ConvShape conv;                    // linear
    int layer = -1;                          // linear: index of the weight
    std::vector<int> masks;                  // linear: the opened mask; mask_*: the sources
    int64_t batch = 1;                       // mask_concat: leading entries; sparse: samples
    View view;                               // mask_view
    std::shared_ptr<const Pattern> pattern;  // sparse: of one sample, n = batch * rows * channels

    int beta_bits() const;
    // Of a sparse product: the channels of a row, and the elements of values and input over all samples.
    int64_t sparse_channels() const { return n / (batch * pattern->rows()); }
    int64_t sparse_values() const { return batch * pattern->entries(); }
    int64_t sparse_inputs() const { return batch * pattern->columns * sparse_channels(); }
    // Throws Error unless the request is complete and in range for a ring of `ring_bits`.
    void validate(int ring_bits) const;
};

inline int64_t packed_bytes(int bits) { return (bits + 7) / 8; }
inline int64_t plane_words(int64_t n) { return (n + 63) / 64; }

// Bytes streamed by the dealer for one request.
int64_t server_bytes(const Request& request, int ring_bits);
int64_t client_bytes(const Request& request, int ring_bits);

// What the streams of a request are for.
enum Component { kOwn = 0, kShare = 1, kMasks = 2, kBeta = 3, kRoots = 4, kMsb = 5, kOperands = 8 };

crypto::Prg request_stream(const crypto::Block& seed, int64_t request, int component);

template <class U>
Buffer<U> draw(const crypto::Block& seed, int64_t request, int component, int64_t n) {
    Buffer<U> out(n);
    request_stream(seed, request, component).fill(out.span());
    return out;
}

// The mask A of layer `layer` for a weight epoch.
template <class T>
Buffer<T> weight_mask(const crypto::Block& weight_seed, int layer, int64_t n);

template <class T>
struct SelectMaterial {
    struct Operand {
        Buffer<T> delta, beta_delta;
    };
    Buffer<T> beta;
    std::vector<Operand> operands;
};

// One party's half of one request; only the members of its kind are filled.
template <class T>
struct Material {
    Buffer<T> ring;             // mask: B; linear: C; cross: a or b; dcf: r; sparse: shares of a, then of B
    Buffer<T> share;            // bit_product: share of uv; cross: share of ab; sparse: share of S(a) B
    Buffer<uint64_t> bits;      // bit_product: u or v; circuit: own input masks; dcf: lambda
    Buffer<uint64_t> products;  // circuit
    Buffer<uint64_t> masks;     // circuit
    Buffer<uint64_t> msb;       // dcf
    std::vector<crypto::Block> roots;
    std::vector<uint8_t> keys;
    SelectMaterial<T> select;
    bool ready = false;
};

// Expands one party's half from its seed and the streamed bytes (which must have exactly the planned length). For a
// linear request of the client, `share` of the output is not complete until E*B is added by the caller.
template <class T>
Material<T> expand(const Request& request, int64_t index, bool server, const crypto::Block& seed,
                   std::span<const uint8_t> streamed, const std::vector<Material<T>>& earlier);

// The dealer for one plan. deal(i) may be called in any order; equal seeds give equal bytes.
template <class T>
class Dealer {
  public:
    Dealer(std::vector<Request> requests, const crypto::Block& server_seed, const crypto::Block& client_seed,
           const crypto::Block& weight_seed, int threads);

    struct Dealt {
        std::vector<uint8_t> server, client;
    };
    Dealt deal(int64_t index) const;
    int64_t size() const { return static_cast<int64_t>(requests_.size()); }

  private:
    Buffer<T> mask(int64_t index) const;
    void deal_linear(int64_t index, std::vector<uint8_t>& client) const;
    void deal_bit_product(int64_t index, std::vector<uint8_t>& client) const;
    void deal_cross(int64_t index, std::vector<uint8_t>& client) const;
    void deal_sparse(int64_t index, std::vector<uint8_t>& client) const;
    void deal_circuit(int64_t index, std::vector<uint8_t>& client) const;
    void deal_dcf(int64_t index, Dealt& dealt) const;
    void deal_select(int64_t index, const std::vector<uint64_t>& beta, const Buffer<T>* self_delta,
                     uint8_t* client) const;
    // Both parties' draws of one component, added or XORed.
    Buffer<T> sum(int64_t index, int component, int64_t n) const;

    std::vector<Request> requests_;
    crypto::Block server_seed_, client_seed_, weight_seed_;
    int threads_;
};

}  // namespace moiety::mpc
