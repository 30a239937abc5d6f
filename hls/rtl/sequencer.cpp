// Loads a schedule into sequencer.sv and counts the cycles until every unit is idle.
//
//     sequencer SCHEDULE SHAPES RATE LATENCY STALL SEED
//
// SCHEDULE: the binary form of python/moiety/hls/isa.py. SHAPES: three u32 words an operation of the program: columns
// of its output, beats of a block of the product, beats an element (0: one in all). RATE: bytes a cycle. LATENCY:
// cycles of a message. STALL: percent of the cycles in which each stream is held back. Standard output: one JSON line
// with the cycles and, for every unit, the instructions that ended.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "Vsequencer.h"
#include "verilated.h"

namespace {

constexpr uint32_t kMagic = 0x53494F4D, kHeader = 16, kWords = 24, kCompare = 3, kSpmm = 26;

std::vector<uint32_t> words_of(const char* path) {
    std::vector<uint32_t> words;
    if (std::FILE* file = std::fopen(path, "rb")) {
        uint32_t word;
        while (std::fread(&word, 4, 1, file) == 1) words.push_back(word);
        std::fclose(file);
    }
    return words;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) return std::fprintf(stderr, "usage: sequencer SCHEDULE SHAPES RATE LATENCY STALL SEED\n"), 2;
    const std::vector<uint32_t> schedule = words_of(argv[1]), shapes = words_of(argv[2]);
    if (schedule.size() < kHeader || schedule[0] != kMagic || schedule[1] != 2 ||
        schedule.size() != kHeader + kWords * schedule[3])
        return std::fprintf(stderr, "expected a schedule of version 2\n"), 2;
    VerilatedContext context;
    const auto top = std::make_unique<Vsequencer>(&context);
    const auto edge = [&] {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
    };
    top->clk = top->run = top->load = 0;
    top->rst = 1;
    top->rate = static_cast<uint64_t>(std::atof(argv[3]) * 65536);
    top->latency = static_cast<uint32_t>(std::atoi(argv[4]));
    for (int i = 0; i < 4; ++i) edge();
    top->rst = 0;

    std::array<uint32_t, 8> loaded{};
    for (uint32_t i = 0; i < schedule[3]; ++i) {
        const uint32_t* word = schedule.data() + kHeader + kWords * i;
        const uint32_t unit = word[0] >> 8 & 0xFF, op = word[1];
        if (unit == kCompare || unit > 7 || (word[0] & 0xFF) == kSpmm || 3 * op + 2 >= shapes.size())
            return std::fprintf(stderr, "instruction %u: unit %u, operation %u\n", i, unit, op), 2;
        // entry_t, the last field in the lowest word
        const std::array<uint32_t, 7> low{word[0] >> 24,      word[4], word[6], shapes[3 * op], shapes[3 * op + 1],
                                          shapes[3 * op + 2], word[8]};
        for (uint32_t w = 0; w < 7; ++w) top->entry[w] = low[w];
        for (uint32_t u = 0; u < 8; ++u) top->entry[7 + u] = word[14 + u];
        top->load_unit = unit;
        top->load = 1;
        edge();
        ++loaded[unit];
    }
    top->load = 0;

    const unsigned stall = static_cast<unsigned>(std::atoi(argv[5]));
    std::mt19937 random(static_cast<unsigned>(std::atoi(argv[6])));
    top->run = 1;
    uint64_t cycle = 0;
    const uint64_t limit = uint64_t{1} << 32;
    do {
        unsigned held = 0;
        for (int bit = 0; bit < 6 && stall > 0; ++bit) held |= static_cast<unsigned>(random() % 100 < stall) << bit;
        top->stall = held;
        edge();
        ++cycle;
    } while (!top->idle && cycle < limit);
    std::printf("{\"cycles\": %llu, \"ended\": [", static_cast<unsigned long long>(cycle));
    bool all = top->idle;
    for (uint32_t u = 0; u < 8; ++u) {
        std::printf("%s%u", u ? ", " : "", top->ended[u]);
        all = all && top->ended[u] == loaded[u];
    }
    std::printf("]}\n");
    return all ? 0 : 1;
}
