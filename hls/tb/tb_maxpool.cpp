#include "comparison.hpp"

namespace {

// One axis of a pooling: x is (outer, length, inner), windows' maxima come out as (outer, out, inner).
struct Axis {
    int outer, length, inner, out;
};

// Plays the axis' tournament level by level, a tile of each level at a time.
std::vector<Element> pool(const bench::Vectors& v, bench::Checker& check, int party, const Axis& axis, int number,
                          int& request, const std::vector<Element>& x) {
    const std::string me = bench::parties[party], other = bench::parties[1 - party], tag = std::to_string(number);
    const int row = axis.outer * axis.inner;
    std::vector<Element> rows(x.size());
    for (int i = 0; i < axis.length; ++i)
        for (int o = 0; o < axis.outer; ++o)
            for (int k = 0; k < axis.inner; ++k)
                rows[static_cast<size_t>((i * axis.outer + o) * axis.inner + k)] =
                    x[static_cast<size_t>((o * axis.length + i) * axis.inner + k)];
    for (int level = 0; level < v.value("levels" + tag); ++level, ++request) {
        const bench::Side side(v, me, other, std::to_string(request));
        const auto pairs = v.get<ap_uint<32>>("pairs" + tag + "." + std::to_string(level));
        const int n = static_cast<int>(pairs.size()) / 2 * row;
        std::vector<Element> winners(static_cast<size_t>(n));
        for (bench::TileWalk at{n, v.value("bits"), true}; at.first < n; at.next()) {
            hls::stream<Element> delta, select;
            hls::stream<moiety::word> material, peer, message;
            side.feed(at, material, delta, select, peer);
            maxpool(rows.data(), pairs.data(), at.first, at.count(), row, material, delta, select, peer, at.bits,
                    party == 0, message, winners.data() + at.first);
            check.drain("message", message, side.message, at.message_at, at.message_words());
        }
        rows.insert(rows.end(), winners.begin(), winners.end());
    }
    const auto winner = v.get<ap_uint<32>>("winners" + tag);
    std::vector<Element> y(static_cast<size_t>(row * axis.out));
    for (int i = 0; i < axis.out; ++i)
        for (int o = 0; o < axis.outer; ++o)
            for (int k = 0; k < axis.inner; ++k)
                y[static_cast<size_t>((o * axis.out + i) * axis.inner + k)] = rows[static_cast<size_t>(
                    (winner[static_cast<size_t>(i)].to_int() * axis.outer + o) * axis.inner + k)];
    return y;
}

}  // namespace

int main(int count, char** arguments) {
    return bench::main(count, arguments, "maxpool", [](const bench::Vectors& v, bench::Checker& check) {
        const int channels = v.value("channels"), height = v.value("height"), width = v.value("width");
        const int columns = v.value("out0"), lines = v.value("out1");
        for (int party = 0; party < 2; ++party) {
            const std::string me = bench::parties[party];
            int request = 0;
            const auto across =
                pool(v, check, party, {channels * height, width, 1, columns}, 0, request, v.get<Element>(me + "x"));
            const auto y = pool(v, check, party, {channels, height, columns, lines}, 1, request, across);
            const auto expected = v.get<Element>(me + "y");
            for (size_t i = 0; i < expected.size(); ++i) check.equal("result", i, y.at(i), expected[i]);
        }
    });
}
