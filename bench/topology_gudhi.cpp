// GUDHI's Zigzag_persistence on a sequence of events, for bench/topology.py, which compiles and runs this.
//
//     topology_gudhi EVENTS TURNS
//
// EVENTS: int32 numbers, of each event -1 and the number of the event that inserted the cell that now leaves, or the
// cell's dimension, how many faces it has and the numbers of the events that inserted them. Prints bars by dimension
// and the CPU milliseconds of the fastest turn as JSON.
#include <gudhi/zigzag_persistence.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <vector>

int main(int count, char** argument) {
    if (count != 3) return 2;
    std::ifstream file(argument[1], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    const auto* const events = reinterpret_cast<const int32_t*>(bytes.data());
    const size_t size = bytes.size() / sizeof(int32_t);
    double best = 1e300;
    int bars[3] = {0, 0, 0};
    for (int turn = 0; turn < std::atoi(argument[2]); ++turn) {
        std::fill(bars, bars + 3, 0);
        const std::clock_t start = std::clock();
        Gudhi::zigzag_persistence::Zigzag_persistence<> zigzag([&](int d, int, int) { ++bars[std::min(d, 2)]; });
        for (size_t i = 0; i < size;) {
            if (events[i] < 0) {
                zigzag.remove_cell(events[i + 1]);
                i += 2;
            } else {
                const std::vector<int> faces(events + i + 2, events + i + 2 + events[i + 1]);
                zigzag.insert_cell(faces, events[i]);
                i += 2 + faces.size();
            }
        }
        zigzag.get_current_infinite_intervals([&](int d, int) { ++bars[std::min(d, 2)]; });
        best = std::min(best, 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    }
    std::printf("{\"ms\": %.3f, \"bars\": [%d, %d, %d]}\n", best, bars[0], bars[1], bars[2]);
    return 0;
}
