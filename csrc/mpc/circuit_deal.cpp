// The dealer's half of circuit.hpp.
#include <cstring>

#include "core/check.hpp"
#include "core/parallel.hpp"
#include "mpc/circuit.hpp"
#include "mpc/correlation.hpp"
#include "mpc/kernels.hpp"

namespace moiety::mpc {

template <class T>
void Dealer<T>::deal_circuit(int64_t index, std::vector<uint8_t>& client) const {
    const Request& request = requests_[static_cast<size_t>(index)];
    const CircuitShape shape(request.bits);
    const int64_t words = plane_words(request.n);
    const Buffer<uint64_t> alpha = draw<uint64_t>(server_seed_, index, kOwn, shape.positions() * words);
    const Buffer<uint64_t> beta = draw<uint64_t>(client_seed_, index, kOwn, shape.positions() * words);
    const Buffer<uint64_t> server_products =
        draw<uint64_t>(server_seed_, index, kShare, shape.product_planes() * words);
    Buffer<uint64_t> masks = draw<uint64_t>(server_seed_, index, kMasks, shape.mask_planes() * words);
    {
        const Buffer<uint64_t> other = draw<uint64_t>(client_seed_, index, kMasks, shape.mask_planes() * words);
        for (int64_t i = 0; i < masks.size(); ++i) masks[i] ^= other[i];
    }
    Buffer<uint64_t> client_products(shape.product_planes() * words);
    const int64_t tiles = (words + CircuitShape::tile_words - 1) / CircuitShape::tile_words;
    const Kernels& kernel = kernels();
    parallel_for(tiles, 1, threads_, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const int64_t first = tile * CircuitShape::tile_words;
            const int64_t count = std::min(CircuitShape::tile_words, words - first);
            const auto mask = [&](const Wire& wire) {
                return masks.data() + first * shape.mask_planes() + wire.mask * count;
            };
            for (int level = 0; level < shape.levels(); ++level) {
                for (const Node& node : shape.nodes(level)) {
                    const int64_t products = first * shape.product_planes() + node.products * count;
                    if (level == 0) {
                        const int64_t own = first * shape.positions() + node.leaf * count;
                        kernel.deal_leaf(node.radix, count, alpha.data() + own, beta.data() + own,
                                         server_products.data() + products, client_products.data() + products);
                        continue;
                    }
                    const uint64_t* gamma[4];
                    const uint64_t* pi[4];
                    for (int i = 0; i < node.radix; ++i) {
                        gamma[i] = mask(node.g[i]);
                        pi[i] = node.p[i].level < 0 ? nullptr : mask(node.p[i]);
                    }
                    kernel.deal_inner(node.radix, node.with_p, count, gamma, pi, server_products.data() + products,
                                      client_products.data() + products);
                }
            }
        }
    });
    std::memcpy(client.data(), client_products.data(), static_cast<size_t>(client_products.size()) * 8);
    std::vector<uint64_t> carry(static_cast<size_t>(words));
    for (int64_t first = 0; first < words; first += CircuitShape::tile_words) {
        const int64_t count = std::min(CircuitShape::tile_words, words - first);
        std::memcpy(carry.data() + first, masks.data() + first * shape.mask_planes() + shape.carry().mask * count,
                    static_cast<size_t>(count) * 8);
    }
    deal_select(index, carry, nullptr, client.data() + client_products.size() * 8);
}

template void Dealer<uint32_t>::deal_circuit(int64_t, std::vector<uint8_t>&) const;
template void Dealer<uint64_t>::deal_circuit(int64_t, std::vector<uint8_t>&) const;

}  // namespace moiety::mpc
