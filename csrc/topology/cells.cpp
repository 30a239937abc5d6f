#include "topology/cells.hpp"

#include <algorithm>
#include <numeric>

#include "core/check.hpp"

namespace moiety::topology {

namespace {

// Sorts `by` stably by key(cell) in [0, keys): a counting sort.
template <class F>
void sort_by(std::vector<int32_t>& by, std::vector<int32_t>& spare, int32_t keys, F&& key) {
    std::vector<int32_t> place(static_cast<size_t>(keys) + 1, 0);
    for (const int32_t c : by) ++place[static_cast<size_t>(key(c)) + 1];
    std::partial_sum(place.begin(), place.end(), place.begin());
    spare.resize(by.size());
    for (const int32_t c : by) spare[static_cast<size_t>(place[static_cast<size_t>(key(c))]++)] = c;
    by.swap(spare);
}

}  // namespace

Cells canonical(const Cells& cells, std::vector<int32_t>* order) {
    const int64_t n = cells.size();
    std::vector<int32_t> by(static_cast<size_t>(n)), rank(static_cast<size_t>(n));
    std::iota(by.begin(), by.end(), 0);
    sort_by(by, rank, 128, [&](int32_t c) { return int32_t{cells.dimension[static_cast<size_t>(c)]}; });
    sort_by(by, rank, cells.positions,
            [&](int32_t c) { return cells.positions - 1 - cells.exit[static_cast<size_t>(c)]; });
    sort_by(by, rank, cells.positions, [&](int32_t c) { return cells.enter[static_cast<size_t>(c)]; });
    for (int64_t k = 0; k < n; ++k) rank[static_cast<size_t>(by[static_cast<size_t>(k)])] = static_cast<int32_t>(k);
    Cells sorted;
    sorted.positions = cells.positions;
    sorted.dimension.reserve(static_cast<size_t>(n));
    sorted.enter.reserve(static_cast<size_t>(n));
    sorted.exit.reserve(static_cast<size_t>(n));
    sorted.start.reserve(static_cast<size_t>(n) + 1);
    sorted.face.reserve(cells.face.size());
    std::vector<int32_t> faces;
    for (const int32_t cell : by) {
        faces.clear();
        for (const int32_t f : cells.boundary(cell)) faces.push_back(rank[static_cast<size_t>(f)]);
        std::sort(faces.begin(), faces.end());
        const size_t i = static_cast<size_t>(cell);
        sorted.add(cells.dimension[i], cells.enter[i], cells.exit[i], faces);
    }
    if (order != nullptr) *order = std::move(by);
    return sorted;
}

void validate(const Cells& cells) {
    std::vector<int32_t> twice;
    for (int64_t c = 0; c < cells.size(); ++c) {
        const size_t i = static_cast<size_t>(c);
        check(cells.dimension[i] >= 0 && cells.enter[i] >= 0 && cells.enter[i] <= cells.exit[i] &&
                  cells.exit[i] < cells.positions,
              "cell ", c, ": expected a dimension >= 0 and 0 <= enter <= exit < ", cells.positions, ", got dimension ",
              int{cells.dimension[i]}, ", enter ", cells.enter[i], ", exit ", cells.exit[i]);
        twice.clear();
        for (const int32_t f : cells.boundary(c)) {
            check(f >= 0 && f < c, "cell ", c, ": expected faces that precede it, got ", f);
            const size_t j = static_cast<size_t>(f);
            check(cells.dimension[j] + 1 == cells.dimension[i], "cell ", c, " of dimension ", int{cells.dimension[i]},
                  ": expected faces of one dimension less, got face ", f, " of dimension ", int{cells.dimension[j]});
            check(cells.enter[j] <= cells.enter[i] && cells.exit[j] >= cells.exit[i], "cell ", c, ", there from ",
                  cells.enter[i], " to ", cells.exit[i], ": its face ", f, " is there from ", cells.enter[j], " to ",
                  cells.exit[j], " only");
            const auto below = cells.boundary(f);
            twice.insert(twice.end(), below.begin(), below.end());
        }
        auto faces = std::vector<int32_t>(cells.boundary(c).begin(), cells.boundary(c).end());
        std::sort(faces.begin(), faces.end());
        check(std::adjacent_find(faces.begin(), faces.end()) == faces.end(), "cell ", c,
              ": expected every face once in its boundary");
        std::sort(twice.begin(), twice.end());
        for (size_t k = 0; k < twice.size();) {
            size_t end = k;
            while (end < twice.size() && twice[end] == twice[k]) ++end;
            check((end - k) % 2 == 0, "cell ", c, ": the boundary of its boundary is not 0 at cell ", twice[k]);
            k = end;
        }
    }
}

}  // namespace moiety::topology
