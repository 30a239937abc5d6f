#include "mpc/correlation.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "core/check.hpp"
#include "crypto/bits.hpp"
#include "crypto/dcf.hpp"

namespace moiety::mpc {
namespace {

constexpr const char* kNames[] = {"mask",        "mask_concat", "mask_add", "mask_view", "linear",
                                  "bit_product", "cross",       "circuit",  "dcf",       "sparse"};

}  // namespace

Kind kind_from_name(const std::string& name) {
    for (size_t i = 0; i < std::size(kNames); ++i)
        if (name == kNames[i]) return static_cast<Kind>(i);
    throw Error(
        "expected a kind of correlation (mask, mask_concat, mask_add, mask_view, linear, bit_product, cross, circuit, "
        "dcf, sparse), got " +
        name);
}
std::string kind_name(Kind kind) { return kNames[static_cast<int>(kind)]; }

int Request::beta_bits() const {
    int bits = indicator_bits;
    for (int width : operands) bits = std::max(bits, width);
    return bits;
}

void Request::validate(int ring_bits) const {
    const std::string name = kind_name(kind);
    // Plans come from peers: the bound keeps every size below far from overflow.
    check(n > 0 && n <= (int64_t{1} << 34), name, " needs 1 to 2^34 elements, got ", n);
    switch (kind) {
        case Kind::mask:
        case Kind::cross: break;
        case Kind::mask_concat:
            check(batch > 0 && n % batch == 0, name, " of ", n, " elements cannot hold ", batch, " samples");
            [[fallthrough]];
        case Kind::mask_add: check(!masks.empty(), name, " needs source masks"); break;
        case Kind::mask_view: {
            check(masks.size() == 1 && view.shape.size() == view.strides.size() && view.shape.size() <= 8 &&
                      view.offset >= 0,
                  name, " needs one source and as many strides as axes (at most 8)");
            int64_t size = 1;
            for (int64_t extent : view.shape) {
                check(extent > 0 && size <= n / extent, name, " of ", n, " elements has another shape");
                size *= extent;
            }
            check(size == n, name, " of ", n, " elements has a shape of ", size);
            check(view.offset <= (int64_t{1} << 34), name, " starts beyond every mask, at ", view.offset);
            for (int64_t stride : view.strides)
                check(stride >= 0 && stride <= (int64_t{1} << 34), name, " takes strides of 0 to 2^34, got ", stride);
            break;
        }
        case Kind::linear:
            conv.validate();
            check(conv.out_size() == n, "linear gives ", conv.out_size(), " elements, the request says ", n);
            check(layer >= 0 && layer < (1 << 24), "linear needs a layer index, got ", layer);
            check(masks.size() == 1, "linear needs one opened mask, got ", masks.size());
            break;
        case Kind::bit_product:
            check(bits >= 1 && bits <= ring_bits, "bit_product takes 1 to ", ring_bits, " bits, got ", bits);
            break;
        case Kind::circuit:
        case Kind::dcf:
            check(bits >= 2 && bits <= ring_bits, name, " compares 2 to ", ring_bits, " bits, got ", bits);
            check(beta_bits() >= 1 && beta_bits() <= ring_bits, name, " multiplies 1 to ", ring_bits, " bits, got ",
                  beta_bits());
            check(!self_operand || (!operands.empty() && operands[0] == bits), name,
                  " of itself needs a first operand of ", bits, " bits");
            for (int width : operands)
                check(width >= 1 && width <= ring_bits, name, " takes operands of 1 to ", ring_bits, " bits, got ",
                      width);
            check(indicator_bits >= 0, name, " takes an indicator of 0 to ", ring_bits, " bits, got ", indicator_bits);
            check(operands.size() <= 64, name, " takes at most 64 operands, got ", operands.size());
            break;
        case Kind::sparse:
            check(pattern != nullptr, name, " needs a pattern");
            pattern->validate();
            check(batch > 0 && n % batch == 0 && n / batch % pattern->rows() == 0, name, " of ", n,
                  " elements cannot have ", batch, " samples of ", pattern->rows(), " rows");
            check(sparse_channels() <= (int64_t{1} << 34) / pattern->columns / batch &&
                      pattern->entries() <= (int64_t{1} << 34) / batch,
                  name, " of ", batch, " samples, ", pattern->columns, " columns, ", sparse_channels(),
                  " channels and ", pattern->entries(), " entries is too large");
            break;
    }
}

namespace {

int64_t select_bytes(const Request& request) {
    int64_t bytes = packed_bytes(request.beta_bits());
    for (int width : request.operands) bytes += packed_bytes(width);
    return request.n * bytes;
}

}  // namespace

int64_t server_bytes(const Request& request, int) {
    return request.kind == Kind::dcf ? request.n * crypto::dcf_correction_bytes(request.bits - 1) : 0;
}

int64_t client_bytes(const Request& request, int ring_bits) {
    const int64_t n = request.n;
    switch (request.kind) {
        case Kind::mask:
        case Kind::mask_concat:
        case Kind::mask_add:
        case Kind::mask_view: return 0;
        case Kind::linear:
        case Kind::sparse:
        case Kind::cross: return n * ring_bits / 8;
        case Kind::bit_product: return n * packed_bytes(request.bits);
        case Kind::circuit:
            return CircuitShape(request.bits).product_planes() * 8 * plane_words(n) + select_bytes(request);
        case Kind::dcf:
            return n * crypto::dcf_correction_bytes(request.bits - 1) + 8 * plane_words(n) + select_bytes(request);
    }
    return 0;
}

crypto::Prg request_stream(const crypto::Block& seed, int64_t request, int component) {
    return crypto::Prg(seed, static_cast<uint64_t>(request) * 256 + static_cast<uint64_t>(component));
}

template <class T>
Buffer<T> weight_mask(const crypto::Block& weight_seed, int layer, int64_t n) {
    Buffer<T> a(n);
    crypto::Prg(weight_seed, static_cast<uint64_t>(layer)).fill(a.span());
    return a;
}

namespace {

bool is_derived(Kind kind) { return kind == Kind::mask_concat || kind == Kind::mask_add || kind == Kind::mask_view; }

template <class T>
Buffer<T> view_of(const Request& request, const Buffer<T>& source) {
    const View& view = request.view;
    int64_t last = view.offset;
    for (size_t d = 0; d < view.shape.size(); ++d) {
        // Neither factor exceeds 2^34, but their product may leave 64 bits: divide instead.
        const int64_t steps = view.shape[d] - 1, room = source.size() - 1 - last;
        check(room >= 0 && (view.strides[d] == 0 || steps <= room / view.strides[d]), "mask_view of ", request.n,
              " elements reaches beyond its mask of ", source.size());
        last += steps * view.strides[d];
    }
    check(last < source.size(), "mask_view reaches element ", last, " of a mask of ", source.size());
    Buffer<T> out(request.n);
    std::vector<int64_t> index(view.shape.size(), 0);
    int64_t at = view.offset;
    for (int64_t i = 0; i < request.n; ++i) {
        out[i] = source[at];
        for (size_t d = view.shape.size(); d-- > 0;) {
            at += view.strides[d];
            if (++index[d] < view.shape[d]) break;
            at -= view.strides[d] * view.shape[d];
            index[d] = 0;
        }
    }
    return out;
}

template <class T>
Buffer<T> combine_masks(const Request& request, const std::vector<const Buffer<T>*>& sources) {
    if (request.kind == Kind::mask_view) return view_of(request, *sources[0]);
    Buffer<T> out(request.n);
    if (request.kind == Kind::mask_add) {
        for (size_t s = 0; s < sources.size(); ++s) {
            check(sources[s]->size() == request.n, "mask_add of ", request.n, " elements got a source of ",
                  sources[s]->size());
            for (int64_t i = 0; i < request.n; ++i) out[i] = (s == 0 ? T{} : out[i]) + (*sources[s])[i];
        }
        return out;
    }
    int64_t at = 0;
    for (int64_t sample = 0; sample < request.batch; ++sample)
        for (const Buffer<T>* source : sources) {
            const int64_t count = source->size() / request.batch;
            check(at + count <= request.n, "mask_concat overflows its ", request.n, " elements");
            std::memcpy(out.data() + at, source->data() + sample * count, static_cast<size_t>(count) * sizeof(T));
            at += count;
        }
    check(at == request.n, "mask_concat of ", request.n, " elements got sources of ", at);
    return out;
}

// Reads consecutive sections of a streamed correction.
struct Reader {
    std::span<const uint8_t> bytes;
    size_t at = 0;
    const uint8_t* take(int64_t count) {
        check(at + static_cast<size_t>(count) <= bytes.size(), "correlation material ends after ", bytes.size(),
              " bytes, expected more");
        const uint8_t* p = bytes.data() + at;
        at += static_cast<size_t>(count);
        return p;
    }
};

template <class T>
Buffer<T> unpacked(Reader& reader, int64_t n, int bits) {
    Buffer<T> out(n);
    const int bytes = static_cast<int>(packed_bytes(bits));
    crypto::unpack(reader.take(n * bytes), n, bytes, out.data());
    return out;
}

template <class T>
void expand_select(const Request& request, int64_t index, bool server, const crypto::Block& seed, Reader& reader,
                   Material<T>& m) {
    const int64_t n = request.n;
    m.select.beta = server ? draw<T>(seed, index, kBeta, n) : unpacked<T>(reader, n, request.beta_bits());
    for (size_t o = 0; o < request.operands.size(); ++o) {
        typename SelectMaterial<T>::Operand operand;
        const int component = kOperands + 2 * static_cast<int>(o);
        if (!(o == 0 && request.self_operand && request.kind == Kind::dcf))
            operand.delta = draw<T>(seed, index, component, n);
        operand.beta_delta =
            server ? draw<T>(seed, index, component + 1, n) : unpacked<T>(reader, n, request.operands[o]);
        m.select.operands.push_back(std::move(operand));
    }
}

}  // namespace

template <class T>
Material<T> expand(const Request& request, int64_t index, bool server, const crypto::Block& seed,
                   std::span<const uint8_t> streamed, const std::vector<Material<T>>& earlier) {
    constexpr int ring_bits = 8 * sizeof(T);
    const int64_t expected = server ? server_bytes(request, ring_bits) : client_bytes(request, ring_bits);
    check(static_cast<int64_t>(streamed.size()) == expected, "correlation material of request ", index, " (",
          kind_name(request.kind), "): expected ", expected, " bytes, got ", streamed.size());
    const int64_t n = request.n, words = plane_words(n);
    Material<T> m;
    Reader reader{streamed};
    switch (request.kind) {
        case Kind::mask:
            if (!server) m.ring = draw<T>(seed, index, kOwn, n);
            break;
        case Kind::mask_concat:
        case Kind::mask_add:
        case Kind::mask_view:
            if (!server) {
                std::vector<const Buffer<T>*> sources;
                for (int s : request.masks) sources.push_back(&earlier.at(static_cast<size_t>(s)).ring);
                m.ring = combine_masks(request, sources);
            }
            break;
        case Kind::linear: m.ring = server ? draw<T>(seed, index, kShare, n) : unpacked<T>(reader, n, ring_bits); break;
        case Kind::bit_product:
            m.bits = draw<uint64_t>(seed, index, kOwn, words);
            m.share = server ? draw<T>(seed, index, kShare, n) : unpacked<T>(reader, n, request.bits);
            break;
        case Kind::cross:
            m.ring = draw<T>(seed, index, kOwn, n);
            m.share = server ? draw<T>(seed, index, kShare, n) : unpacked<T>(reader, n, ring_bits);
            break;
        case Kind::sparse:
            m.ring = draw<T>(seed, index, kOwn, request.sparse_values() + request.sparse_inputs());
            m.share = server ? draw<T>(seed, index, kShare, n) : unpacked<T>(reader, n, ring_bits);
            break;
        case Kind::circuit: {
            const CircuitShape shape(request.bits);
            m.bits = draw<uint64_t>(seed, index, kOwn, shape.positions() * words);
            m.masks = draw<uint64_t>(seed, index, kMasks, shape.mask_planes() * words);
            const int64_t product_words = shape.product_planes() * words;
            if (server) {
                m.products = draw<uint64_t>(seed, index, kShare, product_words);
            } else {
                m.products = Buffer<uint64_t>(product_words);
                std::memcpy(m.products.data(), reader.take(8 * product_words), static_cast<size_t>(8 * product_words));
            }
            expand_select(request, index, server, seed, reader, m);
            break;
        }
        case Kind::dcf: {
            const int64_t key_bytes = n * crypto::dcf_correction_bytes(request.bits - 1);
            const uint8_t* keys = reader.take(key_bytes);
            m.keys.assign(keys, keys + key_bytes);
            m.ring = draw<T>(seed, index, kOwn, n);
            m.roots.resize(static_cast<size_t>(n));
            request_stream(seed, index, kRoots).fill(std::span<crypto::Block>(m.roots));
            m.bits = draw<uint64_t>(seed, index, kMasks, words);
            if (server) {
                m.msb = draw<uint64_t>(seed, index, kMsb, words);
            } else {
                m.msb = Buffer<uint64_t>(words);
                std::memcpy(m.msb.data(), reader.take(8 * words), static_cast<size_t>(8 * words));
            }
            expand_select(request, index, server, seed, reader, m);
            break;
        }
    }
    m.ready = true;
    return m;
}

template <class T>
Dealer<T>::Dealer(std::vector<Request> requests, const crypto::Block& server_seed, const crypto::Block& client_seed,
                  const crypto::Block& weight_seed, int threads)
    : requests_(std::move(requests)),
      server_seed_(server_seed),
      client_seed_(client_seed),
      weight_seed_(weight_seed),
      threads_(threads) {
    for (size_t i = 0; i < requests_.size(); ++i) {
        requests_[i].validate(8 * sizeof(T));
        for (int source : requests_[i].masks)
            check(source >= 0 && source < static_cast<int>(i), "request ", i, " refers to mask ", source,
                  ", which is not earlier");
    }
}

template <class T>
Buffer<T> Dealer<T>::sum(int64_t index, int component, int64_t n) const {
    Buffer<T> a = draw<T>(server_seed_, index, component, n);
    const Buffer<T> b = draw<T>(client_seed_, index, component, n);
    for (int64_t i = 0; i < n; ++i) a[i] += b[i];
    return a;
}

template <class T>
Buffer<T> Dealer<T>::mask(int64_t index) const {
    const Request& request = requests_[static_cast<size_t>(index)];
    if (request.kind == Kind::mask) return draw<T>(client_seed_, index, kOwn, request.n);
    check(is_derived(request.kind), "request ", index, " is not a mask");
    std::vector<Buffer<T>> sources;
    std::vector<const Buffer<T>*> pointers;
    for (int s : request.masks) sources.push_back(mask(s));
    for (const Buffer<T>& source : sources) pointers.push_back(&source);
    return combine_masks(request, pointers);
}

template <class T>
typename Dealer<T>::Dealt Dealer<T>::deal(int64_t index) const {
    check(index >= 0 && index < size(), "the plan has ", size(), " requests, got index ", index);
    const Request& request = requests_[static_cast<size_t>(index)];
    Dealt dealt;
    dealt.server.resize(static_cast<size_t>(server_bytes(request, 8 * sizeof(T))));
    dealt.client.resize(static_cast<size_t>(client_bytes(request, 8 * sizeof(T))));
    switch (request.kind) {
        case Kind::mask:
        case Kind::mask_concat:
        case Kind::mask_add:
        case Kind::mask_view: break;
        case Kind::linear: deal_linear(index, dealt.client); break;
        case Kind::bit_product: deal_bit_product(index, dealt.client); break;
        case Kind::cross: deal_cross(index, dealt.client); break;
        case Kind::sparse: deal_sparse(index, dealt.client); break;
        case Kind::circuit: deal_circuit(index, dealt.client); break;
        case Kind::dcf: deal_dcf(index, dealt); break;
    }
    return dealt;
}

template <class T>
void Dealer<T>::deal_linear(int64_t index, std::vector<uint8_t>& client) const {
    const Request& request = requests_[static_cast<size_t>(index)];
    const Buffer<T> b = mask(request.masks[0]);
    check(b.size() == request.conv.in_size(), "linear reads ", request.conv.in_size(), " elements, its mask has ",
          b.size());
    const Buffer<T> a = weight_mask<T>(weight_seed_, request.layer, request.conv.weight_size());
    Buffer<T> c(request.n);
    ring::conv(b.data(), a.data(), c.data(), request.conv, false, threads_);
    const Buffer<T> server = draw<T>(server_seed_, index, kShare, request.n);
    for (int64_t i = 0; i < request.n; ++i) c[i] -= server[i];
    std::memcpy(client.data(), c.data(), client.size());
}

template <class T>
void Dealer<T>::deal_bit_product(int64_t index, std::vector<uint8_t>& client) const {
    const Request& request = requests_[static_cast<size_t>(index)];
    const int64_t n = request.n;
    const Buffer<uint64_t> u = draw<uint64_t>(server_seed_, index, kOwn, plane_words(n));
    const Buffer<uint64_t> v = draw<uint64_t>(client_seed_, index, kOwn, plane_words(n));
    Buffer<T> share = draw<T>(server_seed_, index, kShare, n);
    for (int64_t i = 0; i < n; ++i) share[i] = static_cast<T>(((u[i / 64] & v[i / 64]) >> (i % 64)) & 1) - share[i];
    crypto::pack(share.data(), n, static_cast<int>(packed_bytes(request.bits)), client.data());
}

template <class T>
void Dealer<T>::deal_cross(int64_t index, std::vector<uint8_t>& client) const {
    const int64_t n = requests_[static_cast<size_t>(index)].n;
    Buffer<T> a = draw<T>(server_seed_, index, kOwn, n);
    const Buffer<T> b = draw<T>(client_seed_, index, kOwn, n);
    const Buffer<T> share = draw<T>(server_seed_, index, kShare, n);
    for (int64_t i = 0; i < n; ++i) a[i] = a[i] * b[i] - share[i];
    std::memcpy(client.data(), a.data(), client.size());
}

template <class T>
void Dealer<T>::deal_sparse(int64_t index, std::vector<uint8_t>& client) const {
    const Request& request = requests_[static_cast<size_t>(index)];
    const Pattern& pattern = *request.pattern;
    const int64_t values = request.sparse_values(), channels = request.sparse_channels();
    const Buffer<T> masks = sum(index, kOwn, values + request.sparse_inputs());
    Buffer<T> product = draw<T>(server_seed_, index, kShare, request.n);
    for (int64_t i = 0; i < request.n; ++i) product[i] = T{} - product[i];
    for (int64_t b = 0; b < request.batch; ++b)
        multiply_add(pattern, masks.data() + b * pattern.entries(),
                     masks.data() + values + b * pattern.columns * channels, channels, threads_,
                     product.data() + b * pattern.rows() * channels);
    std::memcpy(client.data(), product.data(), client.size());
}

template <class T>
void Dealer<T>::deal_select(int64_t index, const std::vector<uint64_t>& beta, const Buffer<T>* self_delta,
                            uint8_t* client) const {
    const Request& request = requests_[static_cast<size_t>(index)];
    const int64_t n = request.n;
    const auto bit = [&](int64_t i) { return static_cast<T>((beta[static_cast<size_t>(i / 64)] >> (i % 64)) & 1); };
    Buffer<T> share = draw<T>(server_seed_, index, kBeta, n);
    for (int64_t i = 0; i < n; ++i) share[i] = bit(i) - share[i];
    const auto emit = [&](int bits) {
        const int bytes = static_cast<int>(packed_bytes(bits));
        crypto::pack(share.data(), n, bytes, client);
        client += n * bytes;
    };
    emit(request.beta_bits());
    for (size_t o = 0; o < request.operands.size(); ++o) {
        const int component = kOperands + 2 * static_cast<int>(o);
        Buffer<T> drawn;
        if (!(o == 0 && self_delta != nullptr)) drawn = sum(index, component, n);
        const Buffer<T>& delta = o == 0 && self_delta != nullptr ? *self_delta : drawn;
        share = draw<T>(server_seed_, index, component + 1, n);
        for (int64_t i = 0; i < n; ++i) share[i] = (delta[i] & (T{} - bit(i))) - share[i];
        emit(request.operands[o]);
    }
}

template <class T>
void Dealer<T>::deal_dcf(int64_t index, Dealt& dealt) const {
    const Request& request = requests_[static_cast<size_t>(index)];
    const int64_t n = request.n, words = plane_words(n);
    const int domain = request.bits - 1;
    const Buffer<T> r = sum(index, kOwn, n);
    std::vector<uint64_t> alpha(static_cast<size_t>(n)), msb(static_cast<size_t>(words)),
        lambda(static_cast<size_t>(words));
    for (int64_t i = 0; i < n; ++i) {
        const uint64_t value = r[i];
        alpha[static_cast<size_t>(i)] = value & ((uint64_t{1} << domain) - 1);
        msb[static_cast<size_t>(i / 64)] |= ((value >> domain) & 1) << (i % 64);
    }
    std::vector<crypto::Block> root0(static_cast<size_t>(n)), root1(static_cast<size_t>(n));
    request_stream(server_seed_, index, kRoots).fill(std::span<crypto::Block>(root0));
    request_stream(client_seed_, index, kRoots).fill(std::span<crypto::Block>(root1));
    crypto::dcf_generate(domain, alpha, root0, root1, dealt.server, threads_);
    uint8_t* client = dealt.client.data();
    std::memcpy(client, dealt.server.data(), dealt.server.size());
    client += dealt.server.size();
    const Buffer<uint64_t> server_msb = draw<uint64_t>(server_seed_, index, kMsb, words);
    for (int64_t w = 0; w < words; ++w) msb[static_cast<size_t>(w)] ^= server_msb[w];
    std::memcpy(client, msb.data(), msb.size() * 8);
    client += 8 * words;
    const Buffer<uint64_t> lambda0 = draw<uint64_t>(server_seed_, index, kMasks, words);
    const Buffer<uint64_t> lambda1 = draw<uint64_t>(client_seed_, index, kMasks, words);
    for (int64_t w = 0; w < words; ++w) lambda[static_cast<size_t>(w)] = lambda0[w] ^ lambda1[w];
    deal_select(index, lambda, request.self_operand ? &r : nullptr, client);
}

template class Dealer<uint32_t>;
template class Dealer<uint64_t>;
template Buffer<uint32_t> weight_mask(const crypto::Block&, int, int64_t);
template Buffer<uint64_t> weight_mask(const crypto::Block&, int, int64_t);
template Material<uint32_t> expand(const Request&, int64_t, bool, const crypto::Block&, std::span<const uint8_t>,
                                   const std::vector<Material<uint32_t>>&);
template Material<uint64_t> expand(const Request&, int64_t, bool, const crypto::Block&, std::span<const uint8_t>,
                                   const std::vector<Material<uint64_t>>&);

}  // namespace moiety::mpc
