#include "comparison.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "compare", [](const bench::Vectors& v, bench::Checker& check) {
        for (int party = 0; party < 2; ++party) {
            const std::string me = bench::parties[party];
            const bench::Side side(v, me, bench::parties[1 - party]);
            const auto x = v.get<Element>(me + "x"), y = v.get<Element>(me + "y");
            for (bench::TileWalk at{v.value("n"), v.value("bits"), false}; at.first < at.n; at.next()) {
                hls::stream<Element> in, none, beta, result;
                hls::stream<moiety::word> material, peer, message;
                const size_t first = static_cast<size_t>(at.first), n = static_cast<size_t>(at.count());
                bench::fill(in, x, first, n);
                side.feed(at, material, none, beta, peer);
                compare(in, material, beta, peer, at.count(), at.bits, party == 0, message, result);
                check.drain("message", message, side.message, at.message_at, at.message_words());
                check.drain("result", result, y, first, n);
                check.empty("material", material);
            }
        }
    });
}
