#include "topology/coned.hpp"

#include <algorithm>

#include "topology/coned_block.hpp"

namespace moiety::topology {

namespace {

// How many cells each complex has.
std::vector<int32_t> alive(const Cells& cells) {
    std::vector<int32_t> count(static_cast<size_t>(cells.positions) + 1, 0);
    for (int64_t c = 0; c < cells.size(); ++c) {
        ++count[static_cast<size_t>(cells.enter[static_cast<size_t>(c)])];
        --count[static_cast<size_t>(cells.exit[static_cast<size_t>(c)]) + 1];
    }
    for (size_t p = 1; p < count.size(); ++p) count[p] += count[p - 1];
    return count;
}

}  // namespace

Bars coned_bars(const Cells& cells, int max_dimension, const BlockPolicy& policy, Work& work) {
    Bars bars;
    const int64_t n = cells.size();
    if (n == 0) return bars;
    const int32_t final = cells.positions - 1;
    const std::vector<int32_t> size = alive(cells);
    std::vector<int32_t> present, number(static_cast<size_t>(n), -1);
    std::vector<Carried> carried;
    ConedBlock block(cells, max_dimension);
    int32_t s = 0, next = 0;
    while (true) {
        const int64_t wanted =
            std::max(policy.cells, static_cast<int64_t>(policy.alive * static_cast<double>(present.size())));
        int32_t e = final;
        if (n - next > wanted + wanted / 2) {  // among the places where enough have entered, the smallest complex
            const int32_t enough = cells.enter[static_cast<size_t>(next + wanted)];
            const int32_t latest = std::min(final, enough + std::max(1, (enough - s) / 4));
            e = static_cast<int32_t>(std::min_element(size.begin() + enough, size.begin() + latest + 1) - size.begin());
        }
        int32_t until = next;
        while (until < n && cells.enter[static_cast<size_t>(until)] <= e) ++until;
        if (until == n) e = final;
        block.run(present, next, until, s, e, carried, number, bars, work);
        if (e == final) return bars;
        std::erase_if(present, [&](int32_t c) { return cells.exit[static_cast<size_t>(c)] < e; });
        for (int32_t c = next; c < until; ++c) {
            if (cells.exit[static_cast<size_t>(c)] >= e) present.push_back(c);
        }
        next = until;
        s = e;
    }
}

}  // namespace moiety::topology
