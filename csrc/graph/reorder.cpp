#include "graph/reorder.hpp"

#include <algorithm>
#include <numeric>

namespace moiety::graph {
namespace {

// Breadth-first passes over one component at a time. `seen[v]` is the number of the last pass that met v.
class Search {
  public:
    explicit Search(const Undirected& graph) : graph_(graph), seen_(static_cast<size_t>(graph.nodes()), 0) {}

    struct Levels {
        int64_t depth;
        int64_t last;  // of lowest degree in the last level
    };
    // From `root`; queue() then holds its component in order.
    Levels run(int64_t root) {
        ++pass_;
        queue_.assign(1, root);
        seen_[static_cast<size_t>(root)] = pass_;
        int64_t depth = 0;
        for (size_t level = 0;;) {
            const size_t end = queue_.size();
            for (size_t k = level; k < end; ++k)
                for_edges(graph_, queue_[k], [&](int64_t u, int64_t) {
                    if (seen_[static_cast<size_t>(u)] == pass_) return;
                    seen_[static_cast<size_t>(u)] = pass_;
                    queue_.push_back(u);
                });
            if (queue_.size() == end) {
                const auto less = [&](int64_t a, int64_t b) { return graph_.degree(a) < graph_.degree(b); };
                return {depth, *std::min_element(queue_.begin() + static_cast<int64_t>(level), queue_.end(), less)};
            }
            level = end;
            ++depth;
        }
    }

  private:
    const Undirected& graph_;
    std::vector<int64_t> seen_;
    std::vector<int64_t> queue_;
    int64_t pass_ = 0;
};

// George and Liu: go to the far end of the component as long as that makes it deeper.
int64_t peripheral(Search& search, int64_t root) {
    for (auto from = search.run(root);;) {
        const auto back = search.run(from.last);
        if (back.depth <= from.depth) return from.last;
        from = back;
    }
}

}  // namespace

template <class Index>
std::vector<int64_t> degree_order(const Adjacency<Index>& graph) {
    int64_t largest = 0;
    for (int64_t i = 0; i < graph.rows; ++i) largest = std::max(largest, graph.row(i).degree);
    // Counting sort by falling degree.
    std::vector<int64_t> next(static_cast<size_t>(largest) + 2, 0);
    const auto bin = [&](int64_t i) { return static_cast<size_t>(largest - graph.row(i).degree); };
    for (int64_t i = 0; i < graph.rows; ++i) ++next[bin(i) + 1];
    std::partial_sum(next.begin(), next.end(), next.begin());
    std::vector<int64_t> order(static_cast<size_t>(graph.rows));
    for (int64_t i = 0; i < graph.rows; ++i) order[static_cast<size_t>(next[bin(i)]++)] = i;
    return order;
}

std::vector<int64_t> reverse_cuthill_mckee(const Undirected& graph) {
    const int64_t n = graph.nodes();
    std::vector<int64_t> order;
    order.reserve(static_cast<size_t>(n));
    std::vector<bool> placed(static_cast<size_t>(n), false);
    Search search(graph);
    const auto place = [&](int64_t v) {
        placed[static_cast<size_t>(v)] = true;
        order.push_back(v);
    };
    for (int64_t v = 0; v < n; ++v) {
        if (placed[static_cast<size_t>(v)]) continue;
        auto done = static_cast<int64_t>(order.size());
        place(peripheral(search, v));
        for (; done < static_cast<int64_t>(order.size()); ++done) {
            const auto first = static_cast<int64_t>(order.size());
            for_edges(graph, order[static_cast<size_t>(done)], [&](int64_t u, int64_t) {
                if (!placed[static_cast<size_t>(u)]) place(u);
            });
            std::sort(order.begin() + first, order.end(), [&](int64_t a, int64_t b) {
                return graph.degree(a) != graph.degree(b) ? graph.degree(a) < graph.degree(b) : a < b;
            });
        }
    }
    std::reverse(order.begin(), order.end());
    return order;
}

template std::vector<int64_t> degree_order(const Adjacency<int32_t>&);
template std::vector<int64_t> degree_order(const Adjacency<int64_t>&);

}  // namespace moiety::graph
