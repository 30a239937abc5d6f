#include "check.hpp"
#include "crypto/secrets.hpp"

#include <set>
#include <vector>

using namespace moiety::crypto;

int main() {
    std::set<Block> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(random_block());
    EXPECT(seen.size() == 1000);

    // Larger than one getrandom(2) answer and than getentropy's limit; each byte value near its expected 4096
    // times.
    std::vector<uint8_t> bytes(1 << 20);
    random_bytes(bytes);
    std::vector<int> counts(256);
    for (const uint8_t b : bytes) ++counts[b];
    for (const int c : counts) EXPECT(c > 3600 && c < 4600);

    random_bytes({});
    return moiety::test::report();
}
