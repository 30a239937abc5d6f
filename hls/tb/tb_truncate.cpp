#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "truncate", [](const bench::Vectors& v, bench::Checker& check) {
        for (int party = 0; party < 2; ++party) {
            const std::string me = bench::parties[party], other = bench::parties[1 - party];
            const auto own_bits = v.get<moiety::word>(me + "own"), sent = v.get<moiety::word>(me + "message");
            const auto received = v.get<moiety::word>(other + "message");
            hls::stream<Lanes> x, product, result;
            hls::stream<moiety::word> own, peer, message;
            bench::fill(x, v.get<Element>(me + "x"));
            bench::fill(product, v.get<Element>(me + "uv"));
            bench::fill(own, own_bits, 0, own_bits.size());
            bench::fill(peer, received, 0, received.size());
            truncate(x, own, product, peer, v.value("n"), v.value("shift"), v.value("bits"), v.value("signed") != 0,
                     party == 0, message, result);
            check.drain("message", message, sent, 0, sent.size());
            check.drain("result", result, v.get<Element>(me + "y"));
        }
    });
}
