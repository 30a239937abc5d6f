// The seeded stand-in for the operating system's generator: it repeats itself, and only tests named so link
// it.
#include <thread>
#include <vector>

#include "check.hpp"
#include "crypto/secrets.hpp"
#include "deterministic_secrets.hpp"

using namespace moiety::crypto;

int main() {
    std::vector<uint8_t> first(1000), again(1000), other(1000);
    seed_deterministic_secrets(7);
    random_bytes(first);
    const Block next = random_block();
    seed_deterministic_secrets(8);
    random_bytes(other);
    seed_deterministic_secrets(7);
    // The same bytes whatever the sizes asked for.
    random_bytes(std::span(again).first(13));
    random_bytes(std::span(again).subspan(13));
    EXPECT(first == again && first != other);
    EXPECT(random_block() == next);

    // Threads share the stream and none of its blocks.
    seed_deterministic_secrets(9);
    std::vector<Block> drawn(400);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (size_t i = 0; i < 100; ++i) drawn[100 * t + i] = random_block();
        });
    for (auto& thread : threads) thread.join();
    std::sort(drawn.begin(), drawn.end());
    EXPECT(std::adjacent_find(drawn.begin(), drawn.end()) == drawn.end());
    return moiety::test::report();
}
