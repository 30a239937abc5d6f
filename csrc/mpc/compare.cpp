#include "mpc/compare.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "crypto/bits.hpp"
#include "crypto/dcf.hpp"
#include "mpc/kernels.hpp"

namespace moiety::mpc {
namespace {

constexpr int64_t kTile = CircuitShape::tile_words;

// What every party does with the opened bit: shares of b * operand, in place of delta.
template <class T>
void finish(Party<T>& party, int64_t n, const uint64_t* db, const std::vector<const T*>& dx,
            const SelectMaterial<T>& material, const std::vector<const T*>& delta, const std::vector<T*>& out,
            T* indicator) {
    const RingKernels<T>& kernel = kernels().template ring<T>();
    parallel_for(n, 1 << 14, party.threads(), [&](int64_t begin, int64_t end) {
        begin = begin / 64 * 64;
        end = end == n ? n : end / 64 * 64;
        for (size_t o = 0; o < out.size(); ++o)
            kernel.select(end - begin, party.server(), db + begin / 64, dx[o] + begin, delta[o] + begin,
                          material.beta.data() + begin, material.operands[o].beta_delta.data() + begin, out[o] + begin);
        if (indicator != nullptr)
            kernel.bit_to_ring(end - begin, party.server(), db + begin / 64, material.beta.data() + begin,
                               indicator + begin);
    });
}

// An operand under its mask: what this party sends, then the opened x + delta.
template <class T>
struct Masked {
    Buffer<T> value;
    Buffer<uint8_t> sent, received;
    int bytes;

    Masked(std::span<const T> x, const Buffer<T>& delta, int width)
        : value(delta.size()),
          sent(delta.size() * packed_bytes(width)),
          received(sent.size()),
          bytes(static_cast<int>(packed_bytes(width))) {
        for (int64_t i = 0; i < value.size(); ++i) value[i] = x[static_cast<size_t>(i)] + delta[i];
        crypto::pack(value.data(), value.size(), bytes, sent.data());
    }
    void open() {
        Buffer<T> peer(value.size());
        crypto::unpack(received.data(), value.size(), bytes, peer.data());
        for (int64_t i = 0; i < value.size(); ++i) value[i] += peer[i];
    }
};

template <class T>
void check_operands(const Request& request, std::span<const T> y, const std::vector<std::span<const T>>& operands,
                    size_t outputs, const T* indicator) {
    check(static_cast<int64_t>(y.size()) == request.n, "the comparison was planned for ", request.n, " elements, got ",
          y.size());
    check(operands.size() == request.operands.size() && outputs == operands.size(), "the comparison was planned for ",
          request.operands.size(), " operands, got ", operands.size());
    for (const auto& x : operands)
        check(static_cast<int64_t>(x.size()) == request.n, "an operand has ", x.size(), " elements, expected ",
              request.n);
    check(indicator == nullptr || request.indicator_bits > 0, "the comparison was planned without its indicator");
}

// The bit-sliced evaluation of one level for all tiles; out is laid out tile after tile, plane after plane.
template <class T>
void evaluate_level(Party<T>& party, const CircuitShape& shape, int level, int64_t words,
                    const std::vector<Buffer<uint64_t>>& a_b, const std::vector<Buffer<uint64_t>>& opened,
                    const Material<T>& material, Buffer<uint64_t>& out) {
    const Kernels& kernel = kernels();
    parallel_for((words + kTile - 1) / kTile, 4, party.threads(), [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const int64_t first = tile * kTile, count = std::min(kTile, words - first);
            const auto mask = [&](const Wire& w) {
                return material.masks.data() + first * shape.mask_planes() + w.mask * count;
            };
            const auto value = [&](const Wire& w) {
                return opened[static_cast<size_t>(w.level)].data() + first * shape.opened_planes(w.level) +
                       w.plane * count;
            };
            const auto target = [&](const Wire& w) {
                return out.data() + first * shape.opened_planes(level) + w.plane * count;
            };
            for (const Node& node : shape.nodes(level)) {
                const NodeOutput output{mask(node.out_g), target(node.out_g), node.with_p ? mask(node.out_p) : nullptr,
                                        node.with_p ? target(node.out_p) : nullptr};
                const uint64_t* products =
                    material.products.data() + first * shape.product_planes() + node.products * count;
                if (level == 0) {
                    const int64_t at = first * shape.positions() + node.leaf * count;
                    kernel.leaf(node.radix, count, party.server(), a_b[0].data() + at, a_b[1].data() + at,
                                material.bits.data() + at, products, output);
                    continue;
                }
                const uint64_t *g[4], *p[4], *g_mask[4], *p_mask[4];
                for (int i = 0; i < node.radix; ++i) {
                    const bool has_p = node.p[i].level >= 0;
                    g[i] = value(node.g[i]);
                    g_mask[i] = mask(node.g[i]);
                    p[i] = has_p ? value(node.p[i]) : nullptr;
                    p_mask[i] = has_p ? mask(node.p[i]) : nullptr;
                }
                kernel.inner(node.radix, count, party.server(), g, p, g_mask, p_mask, products, output);
            }
        }
    });
}

void xor_into(Buffer<uint64_t>& a, const Buffer<uint64_t>& b) {
    for (int64_t i = 0; i < a.size(); ++i) a[i] ^= b[i];
}

template <class T>
Task compare_circuit(Party<T>& party, int64_t index, std::span<const T> y, std::vector<std::span<const T>> operands,
                     std::vector<T*> out, T* indicator) {
    const Request request = party.request(index, Kind::circuit);
    check_operands(request, y, operands, out.size(), indicator);
    Material<T> material = party.take(index, Kind::circuit);
    const CircuitShape shape(request.bits);
    const int64_t n = request.n, words = plane_words(n);
    const int positions = shape.positions();

    // 1. Masked input bits and masked operands.
    Buffer<uint64_t> own(positions * words);
    parallel_for((words + kTile - 1) / kTile, 4, party.threads(), [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const int64_t first = tile * kTile, count = std::min(kTile, words - first);
            crypto::to_planes(y.data() + first * 64, std::min(count * 64, n - first * 64), 0, positions,
                              own.data() + first * positions, count);
        }
    });
    xor_into(own, material.bits);
    std::vector<Masked<T>> masked;
    masked.reserve(operands.size());
    for (size_t o = 0; o < operands.size(); ++o)
        masked.emplace_back(operands[o], material.select.operands[o].delta, request.operands[o]);
    Buffer<uint64_t> peer(own.size());
    {
        Hop hop;
        hop.send(own.data(), own.size()).receive(peer.data(), peer.size());
        for (Masked<T>& x : masked)
            hop.send(x.sent.data(), x.sent.size()).receive(x.received.data(), x.received.size());
        co_await hop;
    }
    for (Masked<T>& x : masked) x.open();
    std::vector<Buffer<uint64_t>> a_b;
    a_b.push_back(std::move(party.server() ? own : peer));
    a_b.push_back(std::move(party.server() ? peer : own));

    // 2. Prefix levels.
    std::vector<Buffer<uint64_t>> opened;
    for (int level = 0; level < shape.levels(); ++level) {
        Buffer<uint64_t> share(shape.opened_planes(level) * words), other(share.size());
        evaluate_level(party, shape, level, words, a_b, opened, material, share);
        if (level + 1 == shape.levels()) {
            Buffer<uint64_t> sign(words);
            crypto::to_planes(y.data(), n, positions, 1, sign.data(), words);
            xor_into(share, sign);
            if (party.server())
                for (int64_t w = 0; w < words; ++w) share[w] = ~share[w];
        }
        co_await Hop().send(share.data(), share.size()).receive(other.data(), other.size());
        xor_into(share, other);
        opened.push_back(std::move(share));
    }

    // 3. Selection.
    std::vector<const T*> dx, delta;
    for (size_t o = 0; o < masked.size(); ++o) {
        dx.push_back(masked[o].value.data());
        delta.push_back(material.select.operands[o].delta.data());
    }
    finish(party, n, opened.back().data(), dx, material.select, delta, out, indicator);
}

template <class T>
Task compare_dcf(Party<T>& party, int64_t index, std::span<const T> y, std::vector<std::span<const T>> operands,
                 std::vector<T*> out, T* indicator) {
    const Request request = party.request(index, Kind::dcf);
    check_operands(request, y, operands, out.size(), indicator);
    Material<T> material = party.take(index, Kind::dcf);
    const int64_t n = request.n, words = plane_words(n);
    const int k = request.bits;

    // 1. z = y + r, and the operands' masked values.
    Masked<T> z(y, material.ring, k);
    const size_t self = request.self_operand ? 1 : 0;
    std::vector<Masked<T>> masked;
    masked.reserve(operands.size());
    for (size_t o = self; o < operands.size(); ++o)
        masked.emplace_back(operands[o], material.select.operands[o].delta, request.operands[o]);
    {
        Hop hop;
        hop.send(z.sent.data(), z.sent.size()).receive(z.received.data(), z.received.size());
        for (Masked<T>& x : masked)
            hop.send(x.sent.data(), x.sent.size()).receive(x.received.data(), x.received.size());
        co_await hop;
    }
    z.open();
    for (Masked<T>& x : masked) x.open();

    // 2. b = 1 ^ msb(z) ^ msb(r) ^ [low(z) < low(r)], opened under lambda.
    Buffer<uint64_t> share(words), other(words);
    {
        const uint64_t low = (uint64_t{1} << (k - 1)) - 1;
        Buffer<uint64_t> point(n);
        for (int64_t i = 0; i < n; ++i) point[i] = z.value[i] & low;
        crypto::dcf_evaluate(party.server() ? 0 : 1, k - 1, point.span(), material.roots, material.keys, share.span(),
                             party.threads());
        Buffer<uint64_t> sign(words);
        crypto::to_planes(z.value.data(), n, k - 1, 1, sign.data(), words);
        for (int64_t w = 0; w < words; ++w)
            share[w] ^= material.bits[w] ^ material.msb[w] ^ (party.server() ? ~sign[w] : 0);
    }
    co_await Hop().send(share.data(), words).receive(other.data(), words);
    xor_into(share, other);

    // 3. Selection.
    std::vector<const T*> dx, delta;
    for (size_t o = 0; o < operands.size(); ++o) {
        dx.push_back(o < self ? z.value.data() : masked[o - self].value.data());
        delta.push_back(o < self ? material.ring.data() : material.select.operands[o].delta.data());
    }
    finish(party, n, share.data(), dx, material.select, delta, out, indicator);
}

}  // namespace

template <class T>
Task compare_select(Party<T>& party, int64_t request, std::span<const T> y, std::vector<std::span<const T>> operands,
                    std::vector<T*> out, T* indicator) {
    if (party.kind(request) == Kind::dcf)
        return compare_dcf(party, request, y, std::move(operands), std::move(out), indicator);
    return compare_circuit(party, request, y, std::move(operands), std::move(out), indicator);
}

template <class T>
Task relu(Party<T>& party, int64_t request, std::span<const T> y, T* out) {
    return compare_select<T>(party, request, y, {y}, {out}, nullptr);
}

template <class T>
Task hardtanh(Party<T>& party, int64_t request, std::span<const T> y, T low, T high, T* out) {
    const int64_t n = static_cast<int64_t>(y.size());
    Buffer<T> both(2 * n), clipped(2 * n);
    for (int64_t i = 0; i < n; ++i) {
        const T value = y[static_cast<size_t>(i)];
        both[i] = value - (party.server() ? low : T{});
        both[n + i] = value - (party.server() ? high : T{});
    }
    co_await relu<T>(party, request, both.span(), clipped.data());
    for (int64_t i = 0; i < n; ++i) out[i] = clipped[i] - clipped[n + i] + (party.server() ? low : T{});
}

template <class T>
Task piecewise(Party<T>& party, int64_t request, std::span<const T> y, Pieces<T> pieces, T* out) {
    const int64_t n = static_cast<int64_t>(y.size()), m = static_cast<int64_t>(pieces.slopes.size());
    check(m > 0 && pieces.thresholds.size() == pieces.slopes.size(), "a piecewise function has ", m, " slopes and ",
          pieces.thresholds.size(), " thresholds: expected as many, and at least one");
    Buffer<T> moved(m * n), clipped(m * n);
    for (int64_t piece = 0; piece < m; ++piece) {
        const T threshold = party.server() ? pieces.thresholds[static_cast<size_t>(piece)] : T{};
        for (int64_t i = 0; i < n; ++i) moved[piece * n + i] = y[static_cast<size_t>(i)] - threshold;
    }
    co_await relu<T>(party, request, moved.span(), clipped.data());
    std::fill(out, out + n, party.server() ? pieces.offset : T{});
    for (int64_t piece = 0; piece < m; ++piece) {
        const T slope = pieces.slopes[static_cast<size_t>(piece)];
        for (int64_t i = 0; i < n; ++i) out[i] += slope * clipped[piece * n + i];
    }
}

template Task compare_select(Party<uint32_t>&, int64_t, std::span<const uint32_t>,
                             std::vector<std::span<const uint32_t>>, std::vector<uint32_t*>, uint32_t*);
template Task compare_select(Party<uint64_t>&, int64_t, std::span<const uint64_t>,
                             std::vector<std::span<const uint64_t>>, std::vector<uint64_t*>, uint64_t*);
template Task relu(Party<uint32_t>&, int64_t, std::span<const uint32_t>, uint32_t*);
template Task relu(Party<uint64_t>&, int64_t, std::span<const uint64_t>, uint64_t*);
template Task hardtanh(Party<uint32_t>&, int64_t, std::span<const uint32_t>, uint32_t, uint32_t, uint32_t*);
template Task hardtanh(Party<uint64_t>&, int64_t, std::span<const uint64_t>, uint64_t, uint64_t, uint64_t*);
template Task piecewise(Party<uint32_t>&, int64_t, std::span<const uint32_t>, Pieces<uint32_t>, uint32_t*);
template Task piecewise(Party<uint64_t>&, int64_t, std::span<const uint64_t>, Pieces<uint64_t>, uint64_t*);

}  // namespace moiety::mpc
