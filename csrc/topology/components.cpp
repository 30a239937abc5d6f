#include "topology/components.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/check.hpp"

namespace moiety::topology {

namespace {

// Sets whose representative is the element of the least key.
class Elders {
  public:
    explicit Elders(std::vector<int32_t> key) : key_(std::move(key)), parent_(key_.size()), size_(key_.size(), 1) {
        std::iota(parent_.begin(), parent_.end(), 0);
        elder_ = parent_;
    }
    int32_t elder(int32_t a) { return elder_[static_cast<size_t>(root(a))]; }
    // Joins the sets of a and b; the younger elder, or -1 if they were one.
    int32_t join(int32_t a, int32_t b) {
        size_t i = static_cast<size_t>(root(a)), j = static_cast<size_t>(root(b));
        if (i == j) return -1;
        if (size_[i] < size_[j]) std::swap(i, j);
        const bool first = key_[static_cast<size_t>(elder_[i])] < key_[static_cast<size_t>(elder_[j])];
        const int32_t younger = first ? elder_[j] : elder_[i];
        if (!first) elder_[i] = elder_[j];
        parent_[j] = static_cast<int32_t>(i);
        size_[i] += size_[j];
        return younger;
    }

  private:
    int32_t root(int32_t a) {
        size_t i = static_cast<size_t>(a);
        while (parent_[i] != static_cast<int32_t>(i)) {
            parent_[i] = parent_[static_cast<size_t>(parent_[i])];
            i = static_cast<size_t>(parent_[i]);
        }
        return static_cast<int32_t>(i);
    }
    std::vector<int32_t> key_, parent_, size_, elder_;
};

// A forest of vertices and edges (an edge is a node between its ends) with the largest number on any path.
class Forest {
  public:
    explicit Forest(int64_t nodes) : node_(static_cast<size_t>(nodes) + 1) {
        for (size_t i = 0; i < node_.size(); ++i) node_[i].largest = static_cast<int32_t>(i);
    }
    // The largest of the nodes between a and b, which must be connected.
    int32_t largest(int32_t a, int32_t b) {
        make_root(a);
        expose(b);
        return at(b).largest;
    }
    void link(int32_t a, int32_t b) {
        make_root(a);
        at(a).parent = b;
    }
    void cut(int32_t a, int32_t b) {
        make_root(a);
        expose(b);
        at(at(b).child[0]).parent = 0;
        at(b).child[0] = 0;
        update(b);
    }

  private:
    struct Node {  // of a splay tree, the paths' nodes by depth; 0 is none
        int32_t parent = 0, child[2] = {0, 0}, largest = 0;
        bool turned = false;
    };
    Node& at(int32_t i) { return node_[static_cast<size_t>(i)]; }
    bool top(int32_t i) {
        const int32_t p = at(i).parent;
        return p == 0 || (at(p).child[0] != i && at(p).child[1] != i);
    }
    void update(int32_t i) {
        Node& n = at(i);
        n.largest = std::max({i, n.child[0] ? at(n.child[0]).largest : 0, n.child[1] ? at(n.child[1]).largest : 0});
    }
    void push(int32_t i) {
        Node& n = at(i);
        if (!n.turned) return;
        std::swap(n.child[0], n.child[1]);
        for (const int32_t c : n.child) {
            if (c != 0) at(c).turned = !at(c).turned;
        }
        n.turned = false;
    }
    void rotate(int32_t i) {
        const int32_t p = at(i).parent, g = at(p).parent;
        const int side = at(p).child[1] == i;
        if (!top(p)) at(g).child[at(g).child[1] == p] = i;
        at(i).parent = g;
        const int32_t inner = at(i).child[1 - side];
        at(p).child[side] = inner;
        if (inner != 0) at(inner).parent = p;
        at(i).child[1 - side] = p;
        at(p).parent = i;
        update(p);
    }
    void splay(int32_t i) {
        path_.assign(1, i);
        for (int32_t j = i; !top(j);) path_.push_back(j = at(j).parent);
        while (!path_.empty()) {
            push(path_.back());
            path_.pop_back();
        }
        while (!top(i)) {
            const int32_t p = at(i).parent;
            if (!top(p)) rotate((at(p).child[1] == i) == (at(at(p).parent).child[1] == p) ? p : i);
            rotate(i);
        }
        update(i);
    }
    void expose(int32_t i) {
        for (int32_t below = 0, j = i; j != 0; j = at(j).parent) {
            splay(j);
            at(j).child[1] = below;
            update(j);
            below = j;
        }
        splay(i);
    }
    void make_root(int32_t i) {
        expose(i);
        at(i).turned = !at(i).turned;
    }

    std::vector<Node> node_;
    std::vector<int32_t> path_;
};

}  // namespace

Bars graph_bars(const Cells& cells, bool cycles) {
    Bars bars;
    const int32_t n = static_cast<int32_t>(cells.size());
    std::vector<int32_t> by_exit, number(static_cast<size_t>(n));
    std::iota(number.begin(), number.end(), 0);
    for (int32_t c = 0; c < n; ++c) {
        if (cells.dimension[static_cast<size_t>(c)] > 1) continue;
        by_exit.push_back(c);
        const size_t faces = cells.boundary(c).size();
        check(cells.dimension[static_cast<size_t>(c)] == 0 || faces == 0 || faces == 2, "cell ", c,
              ": expected an edge of two vertices or none, got ", faces);
    }
    std::stable_sort(by_exit.begin(), by_exit.end(), [&](int32_t a, int32_t b) {
        return cells.exit[static_cast<size_t>(a)] > cells.exit[static_cast<size_t>(b)];
    });
    std::vector<int32_t> rank(static_cast<size_t>(n), 0);
    for (size_t k = 0; k < by_exit.size(); ++k) rank[static_cast<size_t>(by_exit[k])] = static_cast<int32_t>(k);
    const auto enter = [&](int32_t c) { return cells.enter[static_cast<size_t>(c)]; };
    const auto exit = [&](int32_t c) { return cells.exit[static_cast<size_t>(c)]; };
    const auto add = [&](int dim, int32_t first, int32_t last, int kind) {
        if (first <= last) bars.add(dim, first, last, kind);
    };

    Elders entered(std::move(number));
    for (int32_t e = 0; e < n; ++e) {
        if (cells.dimension[static_cast<size_t>(e)] != 1 || cells.boundary(e).empty()) continue;
        const int32_t younger = entered.join(cells.boundary(e)[0], cells.boundary(e)[1]);
        if (younger >= 0) add(0, enter(younger), enter(e) - 1, closed_open);
    }
    Elders coned(std::move(rank));
    Forest forest(n);
    std::vector<bool> met(static_cast<size_t>(n), false);
    for (const int32_t c : by_exit) {
        if (cells.dimension[static_cast<size_t>(c)] == 0) {
            const int32_t oldest = entered.elder(c);
            if (!met[static_cast<size_t>(oldest)]) add(0, enter(oldest), exit(c), closed_closed);
            met[static_cast<size_t>(oldest)] = true;
            continue;
        }
        int32_t dropped = c;
        if (!cells.boundary(c).empty()) {
            const int32_t u = cells.boundary(c)[0], v = cells.boundary(c)[1];
            const int32_t younger = coned.join(u, v);
            if (younger >= 0) {
                add(0, exit(c) + 1, exit(younger), open_closed);
                dropped = -1;
            } else {  // an edge: a vertex of the path has a lower number than the edges beside it
                dropped = std::max(c, forest.largest(u + 1, v + 1) - 1);
            }
            if (dropped != c) {
                if (dropped >= 0) {
                    for (const int32_t end : cells.boundary(dropped)) forest.cut(dropped + 1, end + 1);
                }
                forest.link(c + 1, u + 1);
                forest.link(c + 1, v + 1);
            }
        }
        if (dropped < 0) continue;
        if (enter(dropped) > exit(c)) {
            add(0, exit(c) + 1, enter(dropped) - 1, open_open);
        } else if (cycles) {
            add(1, enter(dropped), exit(c), closed_closed);
        }
    }
    return bars;
}

}  // namespace moiety::topology
