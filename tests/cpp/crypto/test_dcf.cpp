// Comparison keys against [x < alpha], for every path that this CPU has; the paths' keys are the same bytes.
#include "check.hpp"
#include "core/cpu.hpp"
#include "crypto/bits.hpp"
#include "crypto/dcf.hpp"
#include "crypto/prg.hpp"

#include <vector>

using namespace moiety;
using namespace moiety::crypto;

namespace {

struct Batch {
    int n;
    std::vector<uint64_t> alpha, x;
    std::vector<Block> roots[2];
    std::vector<uint8_t> corrections;

    Batch(int bits, std::vector<uint64_t> thresholds, std::vector<uint64_t> inputs)
        : n(bits), alpha(std::move(thresholds)), x(std::move(inputs)) {
        for (int p = 0; p < 2; ++p) {
            roots[p].resize(alpha.size());
            Prg(Block{1, 2, 3}, static_cast<uint64_t>(2 * n + p)).fill(std::span(roots[p]));
        }
        corrections.resize(alpha.size() * static_cast<size_t>(dcf_correction_bytes(n)));
        dcf_generate(n, alpha, roots[0], roots[1], corrections, 1);
    }
    std::vector<uint64_t> share(int party, int threads = 1) const {
        std::vector<uint64_t> out(static_cast<size_t>(words_for(static_cast<int64_t>(x.size()))), ~uint64_t{0});
        dcf_evaluate(party, n, x, roots[party], corrections, out, threads);
        return out;
    }
    bool right() const {
        const auto s0 = share(0), s1 = share(1);
        for (size_t i = 0; i < x.size(); ++i)
            if ((((s0[i / 64] ^ s1[i / 64]) >> (i % 64)) & 1) != (x[i] < alpha[i] ? 1U : 0U)) return false;
        return x.size() % 64 == 0 || ((s0.back() | s1.back()) >> (x.size() % 64)) == 0;
    }
};

Batch random_batch(int n, int64_t count, uint64_t seed) {
    const uint64_t mask = (uint64_t{1} << n) - 1;
    std::vector<uint64_t> alpha(static_cast<size_t>(count)), x(alpha.size());
    Prg(Block{4}, seed).fill(std::span(alpha));
    Prg(Block{5}, seed).fill(std::span(x));
    for (size_t i = 0; i < x.size(); ++i) {
        alpha[i] &= mask;
        x[i] &= mask;
        // Neighbours of the threshold leave its path at every depth.
        if (i % 4 == 1) x[i] = alpha[i] ^ (uint64_t{1} << (i / 4 % static_cast<size_t>(n)));
        if (i % 16 == 2) x[i] = alpha[i];
        if (i % 16 == 6) x[i] = (alpha[i] + 1) & mask;
        if (i % 16 == 10) x[i] = (alpha[i] - 1) & mask;
        if (i % 32 == 3) alpha[i] = 0;
        if (i % 32 == 7) alpha[i] = mask;
        if (i % 32 == 11) x[i] = 0;
        if (i % 32 == 15) x[i] = mask;
    }
    return Batch(n, std::move(alpha), std::move(x));
}

void correct(Isa level) {
    // Every threshold against every input.
    const int exhaustive = level == Isa::scalar ? 6 : 9;
    for (int n = 1; n <= exhaustive; ++n) {
        std::vector<uint64_t> alpha, x;
        for (uint64_t i = 0; i < uint64_t{1} << (2 * n); ++i) {
            alpha.push_back(i >> n);
            x.push_back(i & ((uint64_t{1} << n) - 1));
        }
        EXPECT(Batch(n, std::move(alpha), std::move(x)).right());
    }
    for (int n = 1; n <= 63; ++n) EXPECT(random_batch(n, level == Isa::scalar ? 300 : 3000, 1).right());
    for (const int64_t count : {0, 1, 2, 63, 64, 65, 191, 255, 256, 257, 511, 512, 577})
        for (const int n : {3, 7, 8, 21, 31}) EXPECT(random_batch(n, count, 2).right());
}

void same_bytes_on_every_path() {
    for (const int n : {1, 7, 8, 9, 31, 63}) {
        set_isa(Isa::scalar);
        const Batch want = random_batch(n, 333, 3);
        const auto share0 = want.share(0), share1 = want.share(1);
        for (const Isa level : {Isa::avx2, Isa::avx512}) {
            if ((level == Isa::avx2 && !cpu_features().avx2) || (level == Isa::avx512 && !cpu_features().avx512))
                continue;
            set_isa(level);
            const Batch got = random_batch(n, 333, 3);
            EXPECT(got.corrections == want.corrections);
            EXPECT(got.share(0) == share0 && got.share(1) == share1);
        }
    }
}

void threads_and_cuts() {
    const Batch batch = random_batch(31, 256 * 40 + 17, 4);
    EXPECT(batch.share(0, 2) == batch.share(0, 1));
    std::vector<uint8_t> again(batch.corrections.size());
    dcf_generate(31, batch.alpha, batch.roots[0], batch.roots[1], again, 3);
    EXPECT(again == batch.corrections);
    // A batch cut at a tile is two batches.
    const size_t cut = 256 * 7, bytes = static_cast<size_t>(dcf_correction_bytes(31));
    std::vector<uint64_t> out(static_cast<size_t>(words_for(static_cast<int64_t>(batch.x.size() - cut))));
    dcf_evaluate(1, 31, std::span(batch.x).subspan(cut), std::span(batch.roots[1]).subspan(cut),
                 std::span(batch.corrections).subspan(cut * bytes), out, 1);
    const auto whole = batch.share(1);
    EXPECT(std::equal(out.begin(), out.end(), whole.begin() + static_cast<long>(cut / 64)));
}

void refusals() {
    EXPECT(dcf_correction_bytes(1) == 16 && dcf_correction_bytes(7) == 16 && dcf_correction_bytes(8) == 33);
    EXPECT(dcf_correction_bytes(31) == 409 && dcf_correction_bytes(63) == 933);
    EXPECT_THROWS(dcf_correction_bytes(0));
    EXPECT_THROWS(dcf_correction_bytes(64));
    std::vector<uint64_t> alpha(4), out(1);
    std::vector<Block> roots(4), short_roots(3);
    std::vector<uint8_t> corrections(64);
    EXPECT_THROWS(dcf_generate(5, alpha, short_roots, roots, corrections, 1));
    EXPECT_THROWS(dcf_generate(5, alpha, roots, roots, std::span(corrections).first(63), 1));
    EXPECT_THROWS(dcf_evaluate(2, 5, alpha, roots, corrections, out, 1));
    EXPECT_THROWS(dcf_evaluate(0, 5, alpha, roots, corrections, {}, 1));
    alpha[2] = 32;
    EXPECT_THROWS(dcf_generate(5, alpha, roots, roots, corrections, 1));
    EXPECT_THROWS(dcf_evaluate(0, 5, alpha, roots, corrections, out, 1));
}

}  // namespace

int main() {
    for (const Isa level : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if ((level == Isa::avx2 && !cpu_features().avx2) || (level == Isa::avx512 && !cpu_features().avx512)) continue;
        set_isa(level);
        correct(level);
        threads_and_cuts();
    }
    same_bytes_on_every_path();
    refusals();
    return test::report();
}
