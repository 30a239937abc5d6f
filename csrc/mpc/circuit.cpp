#include "mpc/circuit.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace moiety::mpc {

int leaf_products(int radix) { return 3 * ((1 << radix) - 1) - 2 * radix; }

int inner_products(int radix, bool with_p) {
    const int gamma = (1 << radix) - 1 - radix;
    const int subsets = with_p ? radix : radix - 1;
    return gamma + (1 << subsets) - 1 - subsets;
}

CircuitShape::CircuitShape(int k) : positions_(k - 1) {
    check(k >= 2 && k <= 64, "a comparison takes 2 to 64 bits, got ", k);
    struct Pair {
        Wire g, p;
    };
    std::vector<Pair> pairs;
    int width = positions_;
    for (int level = 0; level == 0 || width > 1; ++level) {
        std::vector<Node> nodes;
        std::vector<Pair> next;
        int opened = 0;
        for (int first = 0; first < width; first += 4) {
            Node node;
            node.radix = std::min(4, width - first);
            node.with_p = first > 0;
            if (level > 0 && node.radix == 1) {  // nothing to combine: the pair moves up as it is
                next.push_back(pairs[static_cast<size_t>(first)]);
                continue;
            }
            node.leaf = first;
            node.products = product_planes_;
            if (level == 0) {
                product_planes_ += leaf_products(node.radix);
            } else {
                product_planes_ += inner_products(node.radix, node.with_p);
                for (int i = 0; i < node.radix; ++i) {
                    node.g[i] = pairs[static_cast<size_t>(first + i)].g;
                    node.p[i] = pairs[static_cast<size_t>(first + i)].p;
                }
            }
            node.out_g = {level, opened++, mask_planes_++};
            if (node.with_p) node.out_p = {level, opened++, mask_planes_++};
            next.push_back({node.out_g, node.out_p});
            nodes.push_back(node);
        }
        nodes_.push_back(std::move(nodes));
        opened_.push_back(opened);
        pairs = std::move(next);
        width = static_cast<int>(pairs.size());
    }
    carry_ = pairs[0].g;
}

}  // namespace moiety::mpc
