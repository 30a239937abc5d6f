#include "topology/flag.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/check.hpp"

namespace moiety::topology {

void Snapshots::validate() const {
    check(nodes > 0 && steps() > 0, "snapshots: expected at least one step and one node, got ",
          std::max<int64_t>(0, static_cast<int64_t>(start.size()) - 1), " steps of ", nodes, " nodes");
    check(start.front() == 0 && start.back() == static_cast<int64_t>(tail.size()) && tail.size() == head.size() &&
              std::is_sorted(start.begin(), start.end()),
          "snapshots: expected offsets that rise from 0 to the ", tail.size(), " edges");
    for (int32_t t = 0; t < steps(); ++t) {
        for (size_t k = static_cast<size_t>(start[static_cast<size_t>(t)]);
             k < static_cast<size_t>(start[static_cast<size_t>(t) + 1]); ++k) {
            check(tail[k] >= 0 && tail[k] < head[k] && head[k] < nodes, "snapshots: step ", t,
                  ": expected an edge (u, v) with 0 <= u < v < ", nodes, ", got (", tail[k], ", ", head[k], ")");
            const bool first = static_cast<int64_t>(k) == start[static_cast<size_t>(t)];
            check(first || tail[k - 1] < tail[k] || (tail[k - 1] == tail[k] && head[k - 1] < head[k]),
                  "snapshots: step ", t, ": expected edges in rising order, each once, but (", tail[k], ", ", head[k],
                  ") is not after the one before");
        }
    }
}

namespace {

void add_edge(TimedGraph& g, int32_t u, int32_t v, int32_t enter, int32_t exit) {
    g.tail.push_back(u);
    g.head.push_back(v);
    g.enter.push_back(enter);
    g.exit.push_back(exit);
}

// A snapshot's edge lasts from the union before to the union after; in consecutive snapshots these meet.
TimedGraph shared_vertices(const Snapshots& s) {
    TimedGraph g;
    const int32_t final = 2 * s.steps() - 2;
    g.positions = final + 1;
    g.vertex_enter.assign(static_cast<size_t>(s.nodes), 0);
    g.vertex_exit.assign(static_cast<size_t>(s.nodes), final);
    std::vector<size_t> before, now;  // places in g of the edges of a snapshot
    for (int32_t t = 0; t < s.steps(); ++t) {
        now.clear();
        size_t k = 0;
        for (int64_t e = s.start[static_cast<size_t>(t)]; e < s.start[static_cast<size_t>(t) + 1]; ++e) {
            const int32_t u = s.tail[static_cast<size_t>(e)], v = s.head[static_cast<size_t>(e)];
            while (k < before.size() && (g.tail[before[k]] < u || (g.tail[before[k]] == u && g.head[before[k]] < v)))
                ++k;
            const int32_t exit = std::min(2 * t + 1, final);
            if (k < before.size() && g.tail[before[k]] == u && g.head[before[k]] == v) {
                g.exit[before[k]] = exit;
                now.push_back(before[k]);
            } else {
                now.push_back(g.tail.size());
                add_edge(g, u, v, std::max(2 * t - 1, 0), exit);
            }
        }
        before.swap(now);
    }
    return g;
}

TimedGraph doubled_vertices(const Snapshots& s) {
    TimedGraph g;
    const int32_t final = 2 * s.steps() - 2;
    g.positions = final + 1;
    check(static_cast<int64_t>(s.nodes) * s.steps() < INT32_MAX,
          "snapshots: expected fewer than 2^31 - 1 nodes in all, got ", s.nodes, " in each of ", s.steps(),
          " steps; take a shorter window");
    for (int32_t t = 0; t < s.steps(); ++t) {
        const int32_t enter = std::max(2 * t - 1, 0), exit = std::min(2 * t + 1, final), base = t * s.nodes;
        g.vertex_enter.insert(g.vertex_enter.end(), static_cast<size_t>(s.nodes), enter);
        g.vertex_exit.insert(g.vertex_exit.end(), static_cast<size_t>(s.nodes), exit);
        const int64_t begin = s.start[static_cast<size_t>(t)], end = s.start[static_cast<size_t>(t) + 1];
        for (int64_t e = begin; e < end; ++e) {
            add_edge(g, base + s.tail[static_cast<size_t>(e)], base + s.head[static_cast<size_t>(e)], enter, exit);
        }
        if (t + 1 == s.steps()) break;
        const int32_t both = 2 * t + 1, next = base + s.nodes;
        for (int32_t v = 0; v < s.nodes; ++v) add_edge(g, base + v, next + v, both, both);
        int64_t a = begin, b = end;
        const int64_t after = s.start[static_cast<size_t>(t) + 2];
        while (a < end || b < after) {  // the union of two sorted lists of edges
            const auto less = [&](int64_t x, int64_t y) {
                const size_t i = static_cast<size_t>(x), j = static_cast<size_t>(y);
                return s.tail[i] < s.tail[j] || (s.tail[i] == s.tail[j] && s.head[i] < s.head[j]);
            };
            const bool left = b >= after || (a < end && !less(b, a)), right = a >= end || (b < after && !less(a, b));
            const size_t from = static_cast<size_t>(left ? a : b);
            add_edge(g, base + s.tail[from], next + s.head[from], both, both);
            add_edge(g, base + s.head[from], next + s.tail[from], both, both);
            a += left;
            b += right;
        }
    }
    return g;
}

// Edges by their lower end, then by the other, then by time; what of them is a cell.
struct Adjacency {
    struct Entry {
        int32_t other, enter, exit, cell;
    };
    std::vector<int64_t> start;
    std::vector<Entry> entry;

    std::span<const Entry> above(int32_t v) const {
        const size_t i = static_cast<size_t>(v);
        return {entry.data() + start[i], static_cast<size_t>(start[i + 1] - start[i])};
    }
};

Adjacency adjacency(const TimedGraph& g) {
    const int32_t vertices = static_cast<int32_t>(g.vertex_enter.size());
    Adjacency a;
    a.start.assign(static_cast<size_t>(vertices) + 1, 0);
    for (size_t e = 0; e < g.tail.size(); ++e) {
        const int32_t u = g.tail[e], v = g.head[e];
        check(u >= 0 && u < v && v < vertices, "edge ", e, ": expected (u, v) with 0 <= u < v < ", vertices, ", got (",
              u, ", ", v, ")");
        check(g.enter[e] <= g.exit[e], "edge ", e, ": expected a first position that is not after its last, got ",
              g.enter[e], " and ", g.exit[e]);
        for (const int32_t end : {u, v}) {
            const size_t i = static_cast<size_t>(end);
            check(g.vertex_enter[i] <= g.enter[e] && g.vertex_exit[i] >= g.exit[e], "edge ", e, ", there from ",
                  g.enter[e], " to ", g.exit[e], ": its vertex ", end, " is there from ", g.vertex_enter[i], " to ",
                  g.vertex_exit[i], " only");
        }
        ++a.start[static_cast<size_t>(u) + 1];
    }
    std::partial_sum(a.start.begin(), a.start.end(), a.start.begin());
    a.entry.resize(g.tail.size());
    std::vector<int64_t> place(a.start.begin(), a.start.end() - 1);
    for (size_t e = 0; e < g.tail.size(); ++e) {
        a.entry[static_cast<size_t>(place[static_cast<size_t>(g.tail[e])]++)] = {g.head[e], g.enter[e], g.exit[e], -1};
    }
    for (int32_t v = 0; v < vertices; ++v) {
        const auto begin = a.entry.begin() + a.start[static_cast<size_t>(v)],
                   end = a.entry.begin() + a.start[static_cast<size_t>(v) + 1];
        const auto before = [](const Adjacency::Entry& x, const Adjacency::Entry& y) {
            return x.other != y.other ? x.other < y.other : x.enter < y.enter;
        };
        if (!std::is_sorted(begin, end, before)) std::sort(begin, end, before);
        for (auto e = begin; e != end && e + 1 != end; ++e) {
            check(e->other != (e + 1)->other || e->exit < (e + 1)->enter, "edge (", v, ", ", e->other,
                  "): expected lifetimes that do not overlap, got one to ", e->exit, " and one from ", (e + 1)->enter);
        }
    }
    return a;
}

// The first entry from i on that is there at some time from enter to exit. In a long sequence an edge has many
// lifetimes, of which few meet another edge's: the others are jumped over.
size_t seek(std::span<const Adjacency::Entry> list, size_t i, int32_t enter, int32_t exit) {
    while (i < list.size() && (list[i].exit < enter || list[i].enter > exit)) {
        const int32_t other = list[i].other;
        if (i + 1 == list.size() || list[i + 1].other != other) {
            ++i;
            continue;
        }
        const bool early = list[i].exit < enter;
        const auto next = std::partition_point(
            list.begin() + static_cast<int64_t>(i), list.end(),
            [&](const Adjacency::Entry& e) { return early ? e.other == other && e.exit < enter : e.other == other; });
        i = static_cast<size_t>(next - list.begin());
    }
    return i;
}

// Calls f(entry of u, entry of v) for every w above both, and every pair of lifetimes of uw and vw that meet, of those
// that are there at some time from enter to exit.
template <class F>
void each_meeting(std::span<const Adjacency::Entry> u, std::span<const Adjacency::Entry> v, int32_t enter, int32_t exit,
                  F&& f) {
    size_t i = 0, j = 0;
    while ((i = seek(u, i, enter, exit)) < u.size() && (j = seek(v, j, enter, exit)) < v.size()) {
        if (u[i].other < v[j].other || (u[i].other == v[j].other && u[i].exit < v[j].enter)) {
            ++i;
        } else if (v[j].other < u[i].other || v[j].exit < u[i].enter) {
            ++j;
        } else {
            f(u[i], v[j]);
            u[i].exit < v[j].exit ? ++i : ++j;
        }
    }
}

// Cliques of four vertices and more, one dimension after another: a clique and its lifetime are narrowed by each vertex
// above it. `vertices` holds those of the cells of dimension `dim`, which are numbered from `first`.
class Higher {
  public:
    Higher(const Adjacency& adjacency, Cells& cells) : adjacency_(adjacency), cells_(cells) {}

    void run(std::vector<int32_t> vertices, int64_t first, int max_dimension) {
        for (int dim = 2; dim <= max_dimension; ++dim) {
            const int64_t until = cells_.size();
            const size_t width = static_cast<size_t>(dim) + 1;
            lifetimes_.clear();
            for (int64_t c = first; c < until; ++c) {
                const auto begin = vertices.begin() + static_cast<int64_t>(width) * (c - first);
                lifetimes_[std::vector<int32_t>(begin, begin + static_cast<int64_t>(width))].push_back(
                    static_cast<int32_t>(c));
            }
            std::vector<int32_t> next;
            for (int64_t c = first; c < until; ++c) {
                const auto begin = vertices.begin() + static_cast<int64_t>(width) * (c - first);
                extend(static_cast<int32_t>(c), {begin, begin + static_cast<int64_t>(width)}, next);
            }
            vertices = std::move(next);
            first = until;
        }
    }

  private:
    // The cell of a simplex that is there throughout.
    int32_t copy(const std::vector<int32_t>& simplex, int32_t enter, int32_t exit) const {
        for (const int32_t c : lifetimes_.at(simplex)) {
            if (cells_.enter[static_cast<size_t>(c)] <= enter && cells_.exit[static_cast<size_t>(c)] >= exit) return c;
        }
        throw Error("flag complex: a face is missing");  // a clique's faces are cliques: never
    }

    void extend(int32_t cell, const std::vector<int32_t>& simplex, std::vector<int32_t>& next) {
        const int32_t from = cells_.enter[static_cast<size_t>(cell)], to = cells_.exit[static_cast<size_t>(cell)];
        for (const auto& [w, enter, exit, unused] : adjacency_.above(simplex.back())) {
            std::vector<std::pair<int32_t, int32_t>> spans{{std::max(enter, from), std::min(exit, to)}}, narrowed;
            for (size_t k = 0; k + 1 < simplex.size(); ++k) {
                narrowed.clear();
                const auto list = adjacency_.above(simplex[k]);
                auto e = std::lower_bound(list.begin(), list.end(), w,
                                          [](const Adjacency::Entry& x, int32_t value) { return x.other < value; });
                for (; e != list.end() && e->other == w; ++e) {
                    for (const auto& [a, b] : spans) narrowed.emplace_back(std::max(a, e->enter), std::min(b, e->exit));
                }
                spans.swap(narrowed);
                std::erase_if(spans, [](const auto& span) { return span.first > span.second; });
            }
            for (const auto& [a, b] : spans) {
                if (a > b) continue;
                std::vector<int32_t> faces{cell};
                for (size_t skipped = 0; skipped < simplex.size(); ++skipped) {
                    std::vector<int32_t> face = simplex;
                    face.erase(face.begin() + static_cast<int64_t>(skipped));
                    face.push_back(w);
                    faces.push_back(copy(face, a, b));
                }
                cells_.add(static_cast<int>(simplex.size()), a, b, faces);
                next.insert(next.end(), simplex.begin(), simplex.end());
                next.push_back(w);
            }
        }
    }

    const Adjacency& adjacency_;
    Cells& cells_;
    std::map<std::vector<int32_t>, std::vector<int32_t>> lifetimes_;
};

}  // namespace

TimedGraph timed_graph(const Snapshots& snapshots, Mode mode) {
    return mode == Mode::paper ? shared_vertices(snapshots) : doubled_vertices(snapshots);
}

Cells flag_cells(const TimedGraph& graph, int max_dimension) {
    const int32_t vertices = static_cast<int32_t>(graph.vertex_enter.size());
    Cells cells;
    cells.positions = graph.positions;
    for (int32_t v = 0; v < vertices; ++v) {
        const int32_t enter = graph.vertex_enter[static_cast<size_t>(v)],
                      exit = graph.vertex_exit[static_cast<size_t>(v)];
        check(enter >= 0 && enter <= exit && exit < graph.positions, "vertex ", v, ": expected 0 <= first <= last < ",
              graph.positions, ", got ", enter, " and ", exit);
        cells.add(0, enter, exit, {});
    }
    Adjacency edges = adjacency(graph);
    for (int32_t v = 0; v < vertices; ++v) {
        for (int64_t k = edges.start[static_cast<size_t>(v)]; k < edges.start[static_cast<size_t>(v) + 1]; ++k) {
            Adjacency::Entry& e = edges.entry[static_cast<size_t>(k)];
            e.cell = static_cast<int32_t>(cells.size());
            const int32_t ends[] = {v, e.other};
            cells.add(1, e.enter, e.exit, ends);
        }
    }
    if (max_dimension >= 1) {
        const int64_t first = cells.size();
        const bool higher = max_dimension >= 2;
        std::vector<int32_t> triangles;
        for (int32_t u = 0; u < vertices; ++u) {
            for (const Adjacency::Entry& uv : edges.above(u)) {
                each_meeting(edges.above(u), edges.above(uv.other), uv.enter, uv.exit,
                             [&](const auto& uw, const auto& vw) {
                                 const int32_t enter = std::max({uv.enter, uw.enter, vw.enter});
                                 const int32_t exit = std::min({uv.exit, uw.exit, vw.exit});
                                 if (enter > exit) return;
                                 const int32_t faces[] = {uv.cell, uw.cell, vw.cell};
                                 cells.add(2, enter, exit, faces);
                                 if (higher) triangles.insert(triangles.end(), {u, uv.other, uw.other});
                             });
            }
        }
        if (higher) Higher(edges, cells).run(std::move(triangles), first, max_dimension);
    }
    return canonical(cells);
}

}  // namespace moiety::topology
