#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "x2act", [](const bench::Vectors& v, bench::Checker& check) {
        const int channels = v.value("channels"), inner = v.value("inner");
        if (inner % MOIETY_LANES != 0) throw bench::Refused("expected channels of whole beats");
        std::vector<Coefficients> coefficients(static_cast<size_t>(channels));
        const auto c2 = v.get<Element>("server.c2"), c1 = v.get<Element>("server.c1"), c0 = v.get<Element>("server.c0");
        for (size_t i = 0; i < coefficients.size(); ++i) coefficients[i] = {c2[i], c1[i], c0[i]};
        for (int party = 0; party < 2; ++party) {
            const bool server = party == 0;
            const std::string me = bench::parties[party], other = bench::parties[1 - party];
            hls::stream<Lanes> x, own, ab, mask, linear, peer, peer_squares, message, squares, result;
            bench::fill(x, v.get<Element>(me + "x"));
            bench::fill(own, v.get<Element>(me + "own"));
            bench::fill(ab, v.get<Element>(me + "ab"));
            bench::fill(linear, v.get<Element>(me + "linear"));
            bench::fill(peer, v.get<Element>(other + "message"));
            if (server) bench::fill(peer_squares, v.get<Element>("client.squares"));
            if (!server) bench::fill(mask, v.get<Element>("client.mask"));
            x2act(x, own, ab, mask, linear, peer, peer_squares, coefficients.data(), channels, inner / MOIETY_LANES,
                  moiety::beats_of<MOIETY_LANES>(v.value("n")), server, message, squares, result);
            check.drain("message", message, v.get<Element>(me + "message"));
            if (!server) check.drain("squares", squares, v.get<Element>("client.squares"));
            check.drain("result", result, v.get<Element>(me + "y"));
            check.empty("squares", squares);
        }
    });
}
