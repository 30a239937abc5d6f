#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "ot_pad", [](const bench::Vectors& v, bench::Checker& check) {
        const moiety::block delta = v.get<moiety::block>("delta")[0];
        const moiety::word tweak = v.get<moiety::word>("tweak")[0];
        const auto corrections = v.get<moiety::word>("message");
        for (int party = 0; party < 2; ++party) {
            const bool sender = party == 0;
            const std::string me = bench::parties[party];
            const auto row = v.get<moiety::block>(me + "rows");
            const auto bits = v.get<moiety::word>(me + "inputs"), expected = v.get<moiety::word>(me + "share");
            hls::stream<moiety::block> rows;
            hls::stream<moiety::word> inputs, peer, message, share;
            bench::fill(rows, row, 0, row.size());
            bench::fill(inputs, bits, 0, bits.size());
            if (!sender) bench::fill(peer, corrections, 0, corrections.size());
            ot_pad(rows, sender ? delta : moiety::block(0), tweak, inputs, peer, v.value("n"), v.value("bits"), sender,
                   message, share);
            if (sender) check.drain("correction", message, corrections, 0, corrections.size());
            check.drain("share", share, expected, 0, expected.size());
        }
    });
}
