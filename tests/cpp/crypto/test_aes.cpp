// Known answers of FIPS 197 and SP 800-38A for every path that this CPU has.
#include "check.hpp"
#include "core/cpu.hpp"
#include "crypto/aes.hpp"
#include "crypto/hash.hpp"
#include "crypto/prg.hpp"

#include <cstring>
#include <vector>

using namespace moiety;
using namespace moiety::crypto;

namespace {

std::vector<uint8_t> hex(const char* text) {
    std::vector<uint8_t> out;
    for (; text[0] != 0; text += 2) {
        const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
        out.push_back(static_cast<uint8_t>(16 * digit(text[0]) + digit(text[1])));
    }
    return out;
}

Block block(const char* text) {
    Block out;
    std::memcpy(out.data(), hex(text).data(), 16);
    return out;
}

void known_answers() {
    const AesKey fips = aes_expand_key(block("000102030405060708090a0b0c0d0e0f"));
    EXPECT(std::memcmp(fips.bytes.data() + 160, hex("13111d7fe3944a17f307a78b4d2b30c5").data(), 16) == 0);
    uint8_t out[64];
    aes_encrypt(fips, hex("00112233445566778899aabbccddeeff").data(), out, 1);
    EXPECT(std::memcmp(out, hex("69c4e0d86a7b0430d8cdb78070b4c55a").data(), 16) == 0);

    const AesKey nist = aes_expand_key(block("2b7e151628aed2a6abf7158809cf4f3c"));
    EXPECT(std::memcmp(nist.bytes.data() + 160, hex("d014f9a8c9ee2589e13f0cc8b6630ca6").data(), 16) == 0);
    const auto plain =
        hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
            "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    const auto cipher =
        hex("3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
            "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4");
    aes_encrypt(nist, plain.data(), out, 4);
    EXPECT(std::memcmp(out, cipher.data(), 64) == 0);
}

// Every length around the tile sizes: the batch equals the blocks one by one, in place and out of place.
void batches() {
    const AesKey key = aes_expand_key(block("2b7e151628aed2a6abf7158809cf4f3c"));
    std::vector<uint8_t> in(16 * 100), one(16 * 100), all(16 * 100);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i * 167 + 13);
    for (int b = 0; b < 100; ++b) aes_encrypt(key, in.data() + 16 * b, one.data() + 16 * b, 1);
    for (int blocks = 0; blocks <= 100; ++blocks) {
        std::fill(all.begin(), all.end(), uint8_t{0xEE});
        aes_encrypt(key, in.data(), all.data(), blocks);
        EXPECT(std::equal(all.begin(), all.begin() + 16 * blocks, one.begin()));
        EXPECT(std::all_of(all.begin() + 16 * blocks, all.end(), [](uint8_t v) { return v == 0xEE; }));
        std::copy(in.begin(), in.end(), all.begin());
        aes_encrypt(key, all.data(), all.data(), blocks);
        EXPECT(std::equal(all.begin(), all.begin() + 16 * blocks, one.begin()));
    }
}

// The stream is AES of nonce and counter, whatever the cuts between calls, also where the counter wraps.
void streams() {
    const Block key = block("000102030405060708090a0b0c0d0e0f");
    const AesKey expanded = aes_expand_key(key);
    for (const uint64_t first : {uint64_t{0}, uint64_t{0xFFFFFFFC}, ~uint64_t{0} - 20}) {
        std::vector<uint8_t> in(16 * 90), want(16 * 90), got(16 * 90);
        const uint64_t nonce = 0x1122334455667788;
        for (uint64_t b = 0; b < 90; ++b) {
            const uint64_t counter = first + b;
            for (int i = 0; i < 8; ++i) {
                in[16 * b + static_cast<size_t>(i)] = static_cast<uint8_t>(counter >> (8 * i));
                in[16 * b + 8 + static_cast<size_t>(i)] = static_cast<uint8_t>(nonce >> (8 * i));
            }
        }
        aes_encrypt(expanded, in.data(), want.data(), 90);
        for (int blocks = 0; blocks <= 90; ++blocks) {
            std::fill(got.begin(), got.end(), uint8_t{0});
            aes_counter(expanded, nonce, first, got.data(), blocks);
            EXPECT(std::equal(got.begin(), got.begin() + 16 * blocks, want.begin()));
        }
    }
    Prg whole(key, 7), cut(key, 7);
    std::vector<uint8_t> want(5000), got(5000);
    whole.fill(std::span(want));
    size_t at = 0;
    for (size_t part = 0; at < got.size(); part = (part * 5 + 3) % 131) {
        const size_t take = std::min(part, got.size() - at);
        cut.fill(std::span(got).subspan(at, take));
        at += take;
    }
    EXPECT(want == got);
    cut.seek(1234);
    cut.fill(std::span(got).first(77));
    EXPECT(std::equal(got.begin(), got.begin() + 77, want.begin() + 1234));
}

void hashes() {
    const AesKey key = aes_expand_key(block("243f6a8885a308d313198a2e03707344"));
    std::vector<Block> x(77), got(77);
    for (size_t i = 0; i < x.size(); ++i) x[i] = {static_cast<uint8_t>(i), 3, static_cast<uint8_t>(7 * i)};
    hash(x, ~uint64_t{0} - 5, got);
    for (size_t i = 0; i < x.size(); ++i) {
        Block inner, outer;
        aes_encrypt(key, x[i].data(), inner.data(), 1);
        const uint64_t tweak = ~uint64_t{0} - 5 + i;
        for (size_t j = 0; j < 16; ++j)
            outer[j] = inner[j] ^ (j < 8 ? static_cast<uint8_t>(tweak >> (8 * j)) : uint8_t{0});
        aes_encrypt(key, outer.data(), outer.data(), 1);
        for (size_t j = 0; j < 16; ++j) outer[j] ^= inner[j];
        EXPECT(outer == got[i]);
    }
    EXPECT_THROWS(hash(x, 0, std::span(got).first(3)));
}

}  // namespace

int main() {
    for (const Isa level : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if ((level == Isa::avx2 && !cpu_features().avx2) || (level == Isa::avx512 && !cpu_features().avx512)) continue;
        set_isa(level);
        known_answers();
        batches();
        streams();
        hashes();
    }
    return test::report();
}
