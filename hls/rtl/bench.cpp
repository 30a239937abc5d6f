// Drives one twin of bench.sv with the vectors of a file and writes what comes out, with the cycles it took.
//
//     bench VECTORS RESULTS STALL SEED
//
// VECTORS: u32 words, little-endian: twin, beats in, beats out, words of a beat in, words of a beat out, then the
// beats. RESULTS: the beats out. STALL: percent of the cycles in which the bench holds back either end, at random by
// SEED. Standard output: one JSON line; cycles count from the first beat that is offered.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "Vbench.h"
#include "verilated.h"

int main(int argc, char** argv) {
    if (argc != 5) return std::fprintf(stderr, "usage: bench VECTORS RESULTS STALL SEED\n"), 2;
    std::FILE* file = std::fopen(argv[1], "rb");
    uint32_t head[5];
    if (file == nullptr || std::fread(head, 4, 5, file) != 5) return std::fprintf(stderr, "no vectors\n"), 2;
    const auto [twin, beats_in, beats_out, words_in, words_out] = std::to_array(head);
    std::vector<uint32_t> in(static_cast<size_t>(beats_in) * words_in);
    if (words_in > 16 || words_out > 8 || std::fread(in.data(), 4, in.size(), file) != in.size())
        return std::fprintf(stderr, "vectors end early, or are too wide\n"), 2;
    std::fclose(file);
    const unsigned stall = static_cast<unsigned>(std::atoi(argv[3]));
    std::mt19937 random(static_cast<unsigned>(std::atoi(argv[4])));
    const auto held_back = [&] { return random() % 100 < stall; };

    VerilatedContext context;
    const auto top = std::make_unique<Vbench>(&context);
    const auto edge = [&] {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
    };
    top->clk = 0;
    top->rst = 1;
    top->select_twin = twin;
    top->in_valid = top->out_ready = 0;
    for (int i = 0; i < 4; ++i) edge();
    top->rst = 0;

    std::vector<uint32_t> out;
    uint64_t cycle = 0, first = 0, last_in = 0, sent = 0, taken = 0;
    const uint64_t limit = 1000 + 200ull * (beats_in + beats_out);
    bool offered = false;  // a beat that is offered stays until it is taken
    while (taken < beats_out && cycle < limit) {
        if (!offered && sent < beats_in) offered = !held_back();
        top->in_valid = offered;
        for (uint32_t w = 0; w < 16; ++w) top->in[w] = offered && w < words_in ? in[sent * words_in + w] : 0;
        top->out_ready = !held_back();
        top->eval();
        if (top->out_valid && top->out_ready) {
            if (taken == 0) first = cycle;
            for (uint32_t w = 0; w < words_out; ++w) out.push_back(top->out[w]);
            ++taken;
        }
        const bool accepted = top->in_valid && top->in_ready;
        edge();
        if (accepted) {
            last_in = cycle;
            ++sent;
            offered = false;
        }
        ++cycle;
    }
    file = std::fopen(argv[2], "wb");
    if (file == nullptr || std::fwrite(out.data(), 4, out.size(), file) != out.size()) return 2;
    std::fclose(file);
    std::printf("{\"cycles\": %llu, \"first\": %llu, \"last_in\": %llu, \"taken\": %llu}\n",
                static_cast<unsigned long long>(cycle), static_cast<unsigned long long>(first),
                static_cast<unsigned long long>(last_in), static_cast<unsigned long long>(taken));
    return taken == beats_out ? 0 : 1;
}
