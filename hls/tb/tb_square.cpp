#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "square", [](const bench::Vectors& v, bench::Checker& check) {
        for (int party = 0; party < 2; ++party) {
            const std::string me = bench::parties[party], other = bench::parties[1 - party];
            hls::stream<Lanes> x, own, ab, peer, message, result;
            bench::fill(x, v.get<Element>(me + "x"));
            bench::fill(own, v.get<Element>(me + "own"));
            bench::fill(ab, v.get<Element>(me + "ab"));
            bench::fill(peer, v.get<Element>(other + "message"));
            square(x, own, ab, peer, moiety::beats_of<MOIETY_LANES>(v.value("n")), party == 0, message, result);
            check.drain("message", message, v.get<Element>(me + "message"));
            check.drain("result", result, v.get<Element>(me + "y"));
        }
    });
}
