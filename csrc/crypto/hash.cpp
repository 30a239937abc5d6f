#include "crypto/hash.hpp"

#include "core/check.hpp"
#include "crypto/aes.hpp"
#include "crypto/aes_kernels.hpp"

namespace moiety::crypto {

void hash(std::span<const Block> x, uint64_t first_tweak, std::span<Block> out) {
    // The first 128 bits of the fraction of pi: a constant that nobody chose.
    static const AesKey key = aes_expand_key(
        {0x24, 0x3F, 0x6A, 0x88, 0x85, 0xA3, 0x08, 0xD3, 0x13, 0x19, 0x8A, 0x2E, 0x03, 0x70, 0x73, 0x44});
    check(x.size() == out.size(), "expected as many hashes as inputs, got ", out.size(), " for ", x.size());
    if (x.empty()) return;
    aes_kernels().tmmo(key.bytes.data(), x.front().data(), first_tweak, out.front().data(),
                       static_cast<int64_t>(x.size()));
}

}  // namespace moiety::crypto
