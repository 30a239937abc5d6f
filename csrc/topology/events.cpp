#include "topology/events.hpp"

#include <algorithm>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/check.hpp"

namespace moiety::topology {

namespace {

using Vertices = std::vector<int32_t>;

// The bytes of sorted vertices, as a key.
std::string_view key_of(const Vertices& v) {
    return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(int32_t)};
}

std::string words(const Vertices& v) {
    std::ostringstream text;
    text << "{";
    for (size_t i = 0; i < v.size(); ++i) text << (i == 0 ? "" : ", ") << v[i];
    text << "}";
    return text.str();
}

void check_layout(const Simplices& s, const char* what) {
    check(!s.start.empty() && s.start.front() == 0 && s.start.back() == static_cast<int64_t>(s.vertex.size()) &&
              std::is_sorted(s.start.begin(), s.start.end()),
          what, ": expected offsets that rise from 0 to the ", s.vertex.size(), " vertices");
}

// The vertices of simplex k, sorted.
Vertices sorted_vertices(const Simplices& s, int64_t k, const char* what) {
    const size_t i = static_cast<size_t>(k);
    Vertices v(s.vertex.begin() + s.start[i], s.vertex.begin() + s.start[i + 1]);
    std::sort(v.begin(), v.end());
    check(!v.empty(), what, " ", k, ": expected a simplex of at least one vertex, got none");
    check(v.size() <= 127, what, " ", k, ": expected at most 127 vertices, got ", v.size());
    check(std::adjacent_find(v.begin(), v.end()) == v.end(), what, " ", k, ": expected distinct vertices, got ",
          words(v));
    return v;
}

// Calls f with every face of v of one dimension less.
template <class F>
void each_face(const Vertices& v, F&& f) {
    if (v.size() < 2) return;
    Vertices face(v.begin() + 1, v.end());
    for (size_t skipped = 0;; ++skipped) {
        f(face);
        if (skipped + 1 == v.size()) return;
        face[skipped] = v[skipped];
    }
}

}  // namespace

Cells cells_of_events(const Simplices& simplices, std::span<const uint8_t> insertion) {
    check_layout(simplices, "events");
    const int64_t events = simplices.size();
    check(static_cast<int64_t>(insertion.size()) == events, "events: expected ", events, " flags of insertion, got ",
          insertion.size());
    check(events < INT32_MAX, "events: expected fewer than 2^31 - 1 events, got ", events);
    Cells cells;
    cells.positions = static_cast<int32_t>(events) + 1;
    std::unordered_map<std::string, int32_t> present;
    std::vector<int32_t> cofaces, faces;
    for (int64_t k = 0; k < events; ++k) {
        const Vertices v = sorted_vertices(simplices, k, "event");
        const auto found = present.find(std::string(key_of(v)));
        if (insertion[static_cast<size_t>(k)] != 0) {
            check(found == present.end(), "event ", k, ": expected the insertion of an absent simplex, but ", words(v),
                  " is there; delete it first");
            faces.clear();
            each_face(v, [&](const Vertices& face) {
                const auto at = present.find(std::string(key_of(face)));
                check(at != present.end(), "event ", k, ": expected all faces of ", words(v), " to be there, but ",
                      words(face), " is not; insert it first");
                faces.push_back(at->second);
            });
            for (const int32_t f : faces) ++cofaces[static_cast<size_t>(f)];
            std::sort(faces.begin(), faces.end());
            present.emplace(key_of(v), static_cast<int32_t>(cells.size()));
            cells.add(static_cast<int>(v.size()) - 1, static_cast<int32_t>(k) + 1, cells.positions - 1, faces);
            cofaces.push_back(0);
        } else {
            check(found != present.end(), "event ", k, ": expected the deletion of a present simplex, but ", words(v),
                  " is not there");
            const size_t cell = static_cast<size_t>(found->second);
            check(cofaces[cell] == 0, "event ", k, ": expected the deletion of a simplex without cofaces, but ",
                  cofaces[cell], " cofaces of ", words(v), " are there; delete them first");
            for (const int32_t f : cells.boundary(found->second)) --cofaces[static_cast<size_t>(f)];
            cells.exit[cell] = static_cast<int32_t>(k);
            present.erase(found);
        }
    }
    return cells;
}

Cells cells_of_intervals(const Simplices& simplices, std::span<const int32_t> enter, std::span<const int32_t> exit,
                         int32_t positions, std::vector<int32_t>& order) {
    check_layout(simplices, "simplices");
    const int64_t n = simplices.size();
    check(static_cast<int64_t>(enter.size()) == n && static_cast<int64_t>(exit.size()) == n, "simplices: expected ", n,
          " first and last positions, got ", enter.size(), " and ", exit.size());
    check(n < INT32_MAX && positions >= 0, "simplices: expected fewer than 2^31 - 1 of them, got ", n);
    std::vector<uint8_t> arrow(static_cast<size_t>(positions) + 1, 0);  // 1: inserts, 2: deletes
    std::vector<int32_t> by(static_cast<size_t>(n));
    for (int64_t k = 0; k < n; ++k) {
        const size_t i = static_cast<size_t>(k);
        by[i] = static_cast<int32_t>(k);
        check(enter[i] >= 0 && enter[i] <= exit[i] && exit[i] < positions, "simplex ", k,
              ": expected 0 <= first <= last < ", positions, ", got ", enter[i], " and ", exit[i]);
        if (enter[i] > 0) arrow[static_cast<size_t>(enter[i])] |= 1;
        if (exit[i] + 1 < positions) arrow[static_cast<size_t>(exit[i]) + 1] |= 2;
    }
    for (int64_t k = 0; k < n; ++k) {
        const size_t at = static_cast<size_t>(enter[static_cast<size_t>(k)]);
        check(
            arrow[at] != 3, "simplex ", k, ": enters at position ", at, ", where others have just left; expected ",
            "each complex to contain the one before or to be contained in it: put their union or intersection between");
    }
    const auto size = [&](int32_t k) {
        return simplices.start[static_cast<size_t>(k) + 1] - simplices.start[static_cast<size_t>(k)];
    };
    std::sort(by.begin(), by.end(), [&](int32_t a, int32_t b) {
        const size_t i = static_cast<size_t>(a), j = static_cast<size_t>(b);
        if (enter[i] != enter[j]) return enter[i] < enter[j];
        if (exit[i] != exit[j]) return exit[i] > exit[j];
        return size(a) != size(b) ? size(a) < size(b) : a < b;
    });
    Cells cells;
    cells.positions = positions;
    std::unordered_map<std::string, int32_t> latest;  // a simplex's last copy: lifetimes of copies are disjoint
    std::vector<int32_t> faces;
    for (const int32_t k : by) {
        const size_t i = static_cast<size_t>(k);
        const Vertices v = sorted_vertices(simplices, k, "simplex");
        faces.clear();
        each_face(v, [&](const Vertices& face) {
            const auto at = latest.find(std::string(key_of(face)));
            check(at != latest.end() && cells.exit[static_cast<size_t>(at->second)] >= exit[i], "simplex ", k, ", ",
                  words(v), ": expected its faces throughout positions ", enter[i], " to ", exit[i], ", but ",
                  words(face), " is not");
            faces.push_back(at->second);
        });
        std::sort(faces.begin(), faces.end());
        const auto [at, fresh] = latest.try_emplace(std::string(key_of(v)), static_cast<int32_t>(cells.size()));
        if (!fresh) {
            check(cells.exit[static_cast<size_t>(at->second)] < enter[i], "simplex ", k, ", ", words(v),
                  ": expected it to be absent before position ", enter[i], ", but another of its lifetimes lasts to ",
                  cells.exit[static_cast<size_t>(at->second)]);
            at->second = static_cast<int32_t>(cells.size());
        }
        cells.add(static_cast<int>(v.size()) - 1, enter[i], exit[i], faces);
    }
    order = std::move(by);
    return cells;
}

}  // namespace moiety::topology
