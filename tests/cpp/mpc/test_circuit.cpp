// The prefix circuit: right for every width and ragged sizes, the same on every instruction set, its planes by closed
// formulas.
#include "mpc/circuit.hpp"

#include <bit>
#include <random>

#include "check.hpp"
#include "core/cpu.hpp"
#include "mpc/compare.hpp"
#include "mpc/kernels.hpp"
#include "mpc/parties.hpp"

using namespace moiety;
using namespace moiety::mpc;

namespace {

std::vector<Isa> levels() {
    std::vector<Isa> found{Isa::scalar};
    if (cpu_features().avx2) found.push_back(Isa::avx2);
    if (cpu_features().avx512) found.push_back(Isa::avx512);
    return found;
}

Request comparison(Kind kind, int64_t n, int k, int indicator_bits) {
    Request request;
    request.kind = kind;
    request.n = n;
    request.bits = k;
    request.operands = {k};
    request.self_operand = true;
    request.indicator_bits = indicator_bits;
    return request;
}

// y >= 0 and max(y, 0) of random shares mod 2^k, with carries that run long: shares of equal and of complementary low
// bits.
template <class T>
bool compares(Kind kind, int k, int64_t n, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<T> a(static_cast<size_t>(n)), b(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>(i);
        a[at] = static_cast<T>(random());
        switch (i % 4) {
            case 0: b[at] = static_cast<T>(random()); break;
            case 1: b[at] = T{} - a[at]; break;
            case 2: b[at] = ~a[at]; break;
            default: b[at] = ~a[at] ^ (T{1} << (random() % static_cast<uint64_t>(k)));
        }
    }
    test::Session<T> session({comparison(kind, n, k, 1)});
    std::vector<T> out[2], indicator[2];
    for (int p = 0; p < 2; ++p) {
        out[p].resize(static_cast<size_t>(n));
        indicator[p].resize(static_cast<size_t>(n));
    }
    session.run([&](Party<T>& party, bool server) {
        const std::span<const T> y(server ? a : b);
        return compare_select<T>(party, 0, y, {y}, {out[server ? 0 : 1].data()}, indicator[server ? 0 : 1].data());
    });
    const T mask = k == 8 * sizeof(T) ? ~T{} : static_cast<T>((T{1} << k) - 1);
    bool ok = true;
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        const T y = (a[i] + b[i]) & mask;
        const bool positive = (y >> (k - 1)) == 0;
        ok &= ((out[0][i] + out[1][i]) & mask) == (positive ? y : T{});
        ok &= ((indicator[0][i] + indicator[1][i]) & 1) == static_cast<T>(positive);
    }
    return ok;
}

// The products of masks that a sum over groups of four needs, counted one by one.
int subsets_of_two_or_more(int size) {
    int count = 0;
    for (unsigned s = 0; s < (1u << size); ++s) count += std::popcount(s) >= 2;
    return count;
}
int leaf_by_hand(int radix) {
    // Each pair j has the private bits alpha_j and beta_j, and pi = alpha ^ beta of higher pairs; what one party holds
    // alone is free.
    int count = 0;
    for (int j = 0; j < radix; ++j) count += 3 * (1 << (radix - 1 - j)) - 2;
    return count;
}

void formulas() {
    for (int radix = 1; radix <= 4; ++radix) {
        EXPECT(leaf_products(radix) == leaf_by_hand(radix));
        // gamma_j with every non-empty set of higher positions, then pi_S alone.
        int gamma = 0;
        for (int j = 0; j < radix; ++j) gamma += (1 << (radix - 1 - j)) - 1;
        EXPECT(inner_products(radix, true) == gamma + subsets_of_two_or_more(radix));
        EXPECT(inner_products(radix, false) == gamma + subsets_of_two_or_more(radix - 1));
    }
    for (int k = 2; k <= 64; ++k) {
        const CircuitShape shape(k);
        EXPECT(shape.bits() == k && shape.positions() == k - 1);
        int width = k - 1, level = 0, products = 0, masks = 0;
        for (; level == 0 || width > 1; ++level) {
            int opened = 0;
            for (int first = 0; first < width; first += 4) {
                const int radix = std::min(4, width - first);
                if (level > 0 && radix == 1) continue;
                products += level == 0 ? leaf_products(radix) : inner_products(radix, first > 0);
                opened += first > 0 ? 2 : 1;
            }
            EXPECT(level < shape.levels() && shape.opened_planes(level) == opened);
            masks += opened;
            width = (width + 3) / 4;
        }
        EXPECT(shape.levels() == level && shape.rounds() == 1 + level);
        EXPECT(shape.product_planes() == products && shape.mask_planes() == masks);
        EXPECT(shape.opened_planes(level - 1) == 1 && shape.carry().level == level - 1);
        for (int64_t n : {1, 64, 65, 4096, 4097})
            EXPECT(client_bytes(comparison(Kind::circuit, n, k, 0), 64) ==
                   products * 8 * ((n + 63) / 64) + 2 * n * ((k + 7) / 8));
    }
    // The example of the design notes: 23 positions, 38 bits from each party for an element, three levels.
    const CircuitShape example(24);
    EXPECT(example.levels() == 3 && 23 + example.mask_planes() == 38);
    EXPECT_THROWS(CircuitShape(1));
    EXPECT_THROWS(CircuitShape(65));
}

// Equal inputs through the kernel table of every level, words that fill no register included.
void kernels_agree() {
    std::mt19937_64 random(5);
    const auto words_of = [&](size_t n) {
        std::vector<uint64_t> words(n);
        for (uint64_t& w : words) w = random();
        return words;
    };
    for (int64_t words : {1, 3, 4, 7, 8, 9, 64}) {
        const auto size = static_cast<size_t>(words);
        for (int radix = 1; radix <= 4; ++radix) {
            const auto a = words_of(4 * size), b = words_of(4 * size), own = words_of(4 * size),
                       products = words_of(64 * size);
            const auto masks = words_of(2 * size);
            for (bool with_p : {false, true}) {
                for (bool server : {false, true}) {
                    std::vector<std::vector<uint64_t>> results;
                    for (Isa level : levels()) {
                        set_isa(level);
                        std::vector<uint64_t> out(4 * size + 2 * 64 * size);
                        const Kernels& kernel = kernels();
                        NodeOutput node{masks.data(), out.data(), with_p ? masks.data() + size : nullptr,
                                        with_p ? out.data() + size : nullptr};
                        kernel.leaf(radix, words, server, a.data(), b.data(), own.data(), products.data(), node);
                        const uint64_t *g[4], *p[4], *g_mask[4], *p_mask[4];
                        for (int i = 0; i < radix; ++i) {
                            const auto at = static_cast<size_t>(i) * size;
                            g[i] = a.data() + at;
                            g_mask[i] = own.data() + at;
                            p[i] = i > 0 || with_p ? b.data() + at : nullptr;
                            p_mask[i] = i > 0 || with_p ? products.data() + at : nullptr;
                        }
                        if (radix > 1) {
                            node.g = out.data() + 2 * size;
                            node.p = with_p ? out.data() + 3 * size : nullptr;
                            kernel.inner(radix, words, server, g, p, g_mask, p_mask, products.data(), node);
                            kernel.deal_inner(radix, with_p, words, g, p, products.data(), out.data() + 4 * size);
                        }
                        kernel.deal_leaf(radix, words, a.data(), b.data(), products.data(), out.data() + 68 * size);
                        results.push_back(std::move(out));
                    }
                    for (const auto& result : results) EXPECT(result == results[0]);
                }
            }
        }
    }
    set_isa(levels().back());
}

template <class T>
void ring_kernels_agree() {
    std::mt19937_64 random(6);
    for (int64_t n : {1, 15, 63, 64, 65, 130, 500}) {
        const auto size = static_cast<size_t>(n);
        std::vector<uint64_t> d(size / 64 + 1), e(d.size()), own(d.size());
        for (auto* plane : {&d, &e, &own})
            for (uint64_t& w : *plane) w = random();
        std::vector<T> x(size), y(size), z(size), u(size);
        for (auto* v : {&x, &y, &z, &u})
            for (T& value : *v) value = static_cast<T>(random());
        for (bool server : {false, true}) {
            std::vector<std::vector<T>> results;
            for (Isa level : levels()) {
                set_isa(level);
                // The split fills one output and a plane, the product adds to what is there.
                std::vector<T> out(5 * size);
                std::vector<uint64_t> top(d.size());
                const auto& kernel = kernels().template ring<T>();
                kernel.split(n, x.data(), T{7}, static_cast<T>(~T{} >> 3), 11, 5, T{3}, top.data(), out.data() + 3 * n);
                std::copy(y.begin(), y.end(), out.begin());
                kernel.add_product(n, server, d.data(), e.data(), own.data(), x.data(), 9, T{1}, out.data());
                kernel.add_cross(n, server, x.data(), y.data(), z.data(), u.data(), out.data());
                kernel.masked(n, T{5}, T{9}, out.data(), x.data(), out.data());
                kernel.masked_product(n, out.data(), y.data(), z.data(), out.data());
                kernel.product(n, out.data(), x.data(), out.data());
                kernel.quadratic(n, T{3}, T{5}, T{7}, x.data(), y.data(), z.data(), u.data(), y.data(), x.data(),
                                 z.data(), out.data() + 4 * n);
                for (uint64_t word : top) out.push_back(static_cast<T>(word ^ (word >> 32)));
                kernel.select(n, server, d.data(), x.data(), y.data(), z.data(), u.data(), out.data() + n);
                kernel.bit_to_ring(n, server, d.data(), x.data(), out.data() + 2 * n);
                results.push_back(std::move(out));
            }
            for (const auto& result : results) EXPECT(result == results[0]);
        }
    }
    set_isa(levels().back());
}

}  // namespace

int main() {
    formulas();
    kernels_agree();
    ring_kernels_agree<uint32_t>();
    ring_kernels_agree<uint64_t>();
    for (Isa level : levels()) {
        set_isa(level);
        for (int k = 2; k <= 64; ++k) {
            for (int64_t n : {int64_t{1}, int64_t{64}, int64_t{130 + k}}) {
                EXPECT((compares<uint64_t>(Kind::circuit, k, n, static_cast<uint64_t>(k))));
                if (k <= 32) EXPECT((compares<uint32_t>(Kind::circuit, k, n, static_cast<uint64_t>(k))));
            }
            EXPECT((compares<uint64_t>(Kind::dcf, k, 70, static_cast<uint64_t>(k))));
        }
        // Several tiles of 4096 elements, the last one ragged.
        for (int64_t n : {4095, 4096, 4097, 9000}) EXPECT((compares<uint64_t>(Kind::circuit, 22, n, 3)));
    }
    return test::report();
}
