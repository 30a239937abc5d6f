#include "topology/coned.hpp"

#include <algorithm>

namespace moiety::topology {

namespace {

constexpr int64_t piece = 4096;  // cells that are fed at a time

}  // namespace

// Where a cell of the sequence is among those that are kept.
int32_t ConedStream::local(int64_t number) const {
    const auto since = number_.begin() + present_;
    if (since != number_.end() && number >= *since) return static_cast<int32_t>(present_ + (number - *since));
    return static_cast<int32_t>(std::lower_bound(number_.begin(), since, number) - number_.begin());
}

void ConedStream::feed(const Cells& cells, int64_t from, int64_t to, int64_t next, int64_t before) {
    std::vector<int32_t> faces;
    for (int64_t c = from; c < to; ++c) {
        faces.clear();
        for (const int32_t f : cells.boundary(c)) faces.push_back(local(f < from ? before + f : next + f - from));
        const size_t i = static_cast<size_t>(c);
        cells_.add(cells.dimension[i], cells.enter[i], cells.exit[i], faces);
        number_.push_back(next + c - from);
    }
    advance(false);
}

void ConedStream::finish() {
    if (done_ || cells_.size() == 0) return;
    advance(true);
}

void ConedStream::advance(bool all) {
    const int32_t final = cells_.positions - 1;
    while (true) {
        const int64_t n = cells_.size(), fresh = n - present_;
        const int64_t wanted = std::max(policy_.cells, static_cast<int64_t>(policy_.alive * present_));
        if (fresh <= wanted + wanted / 2) break;
        // Among the places where enough have entered, the one with the smallest complex.
        const int32_t enough = cells_.enter[static_cast<size_t>(present_ + wanted)];
        const int32_t known = all ? final : cells_.enter[static_cast<size_t>(n - 1)] - 1;
        const int32_t latest = std::min(known, enough + std::max(1, (enough - s_) / 4));
        if (latest < enough) break;
        std::vector<int32_t> size(static_cast<size_t>(latest - enough) + 2, 0);
        for (size_t c = 0; c < static_cast<size_t>(n); ++c) {
            const int32_t first = std::max(cells_.enter[c], enough), last = std::min(cells_.exit[c], latest);
            if (first > last) continue;
            ++size[static_cast<size_t>(first - enough)];
            --size[static_cast<size_t>(last - enough) + 1];
        }
        for (size_t p = 1; p < size.size(); ++p) size[p] += size[p - 1];
        const int32_t e = enough + static_cast<int32_t>(std::min_element(size.begin(), size.end() - 1) - size.begin());
        int32_t until = present_;
        while (until < n && cells_.enter[static_cast<size_t>(until)] <= e) ++until;
        if (e == final) break;
        run(e, until);
    }
    if (!all) return;
    block_.run(cells_, present_, static_cast<int32_t>(cells_.size()), s_, final, carried_, bars_, work_);
    done_ = true;
}

// One block, and what it leaves: the cells of K_e, renumbered, and those that have not been used.
void ConedStream::run(int32_t e, int32_t until) {
    block_.run(cells_, present_, until, s_, e, carried_, bars_, work_);
    Cells kept;
    kept.positions = cells_.positions;
    std::vector<int32_t> place(static_cast<size_t>(cells_.size()), -1), faces;
    std::vector<int64_t> numbers;
    int32_t present = 0;
    for (int32_t c = 0; c < static_cast<int32_t>(cells_.size()); ++c) {
        const size_t i = static_cast<size_t>(c);
        if (c < until && cells_.exit[i] < e) continue;
        place[i] = static_cast<int32_t>(kept.size());
        present += c < until;
        faces.clear();
        for (const int32_t f : cells_.boundary(c)) faces.push_back(place[static_cast<size_t>(f)]);
        kept.add(cells_.dimension[i], cells_.enter[i], cells_.exit[i], faces);
        numbers.push_back(number_[i]);
    }
    for (Carried& bar : carried_) {
        for (int32_t& c : bar.cycle) c = place[static_cast<size_t>(c)];
    }
    cells_ = std::move(kept);
    number_ = std::move(numbers);
    present_ = present;
    s_ = e;
}

Bars coned_bars(const Cells& cells, int max_dimension, const BlockPolicy& policy, Work& work) {
    Bars bars;
    ConedStream stream(cells.positions, max_dimension, policy, bars, work);
    for (int64_t from = 0; from < cells.size(); from += piece) {
        stream.feed(cells, from, std::min(cells.size(), from + piece), from);
    }
    stream.finish();
    return bars;
}

}  // namespace moiety::topology
