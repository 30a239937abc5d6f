#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "aes_prg", [](const bench::Vectors& v, bench::Checker& check) {
        const moiety::block key = v.get<moiety::block>("key")[0];
        const moiety::word nonce = v.get<moiety::word>("nonce")[0];
        const auto blocks = v.get<moiety::block>("blocks");
        const int n = v.value("n"), half = n / 2;
        hls::stream<moiety::block> out;
        aes_prg(key, nonce, 0, half, out);
        aes_prg(key, nonce, half, n - half, out);  // a stream can be entered anywhere
        check.drain("block", out, blocks, 0, blocks.size());
    });
}
