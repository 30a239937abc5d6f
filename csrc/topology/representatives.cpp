#include "topology/representatives.hpp"

#include <algorithm>
#include <iterator>

namespace moiety::topology {

namespace {

Chain sum(const Chain& a, const Chain& b) {
    Chain s;
    std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(s));
    return s;
}

bool holds(const Chain& chain, int32_t cell) { return std::binary_search(chain.begin(), chain.end(), cell); }

struct Cycle {
    Chain cycle, filling;  // filling: what it bounds, if it does
    bool bounds = false;
    int64_t order = 0;  // of those that live: place in the flag
    int32_t first = 0;
    bool open = false;  // birth
};

class Walk {
  public:
    Walk(const Cells& cells, int max_dimension)
        : cells_(cells), longest_(max_dimension), by_last_(cells.dimension.size(), -1) {}

    BarsWithCycles run() {
        const int32_t n = static_cast<int32_t>(cells_.size());
        std::vector<std::vector<int32_t>> leaving(static_cast<size_t>(cells_.positions) + 1);
        for (int32_t c = n - 1; c >= 0; --c)
            leaving[static_cast<size_t>(cells_.exit[static_cast<size_t>(c)]) + 1].push_back(c);
        int32_t next = 0;
        for (position_ = 0; position_ < cells_.positions; ++position_) {
            for (const int32_t c : leaving[static_cast<size_t>(position_)]) leave(c);
            while (next < n && cells_.enter[static_cast<size_t>(next)] == position_) enter(next++);
        }
        for (const Cycle& z : basis_) {
            if (!z.cycle.empty() && !z.bounds) end(z, z.cycle, cells_.positions - 1, false);
        }
        return std::move(found_);
    }

  private:
    int dim(int32_t cell) const { return cells_.dimension[static_cast<size_t>(cell)]; }
    Cycle& at(int32_t k) { return basis_[static_cast<size_t>(k)]; }

    void end(const Cycle& z, const Chain& cycle, int32_t last, bool open) {
        const int d = dim(z.cycle.front());
        if (d > longest_ || z.first > last) return;
        found_.bars.add(d, z.first, last, (z.open ? 1 : 0) + (open ? 2 : 0));
        found_.cycles.push_back(cycle);
    }

    // A free place in the basis.
    int32_t room() {
        if (free_.empty()) {
            basis_.emplace_back();
            return static_cast<int32_t>(basis_.size()) - 1;
        }
        const int32_t k = free_.back();
        free_.pop_back();
        return k;
    }

    // Puts a cycle where its last cell says, adding to it, or it to others, what the order allows until all differ.
    void place(int32_t k) {
        while (true) {
            int32_t& holder = by_last_[static_cast<size_t>(at(k).cycle.back())];
            if (holder < 0) {
                holder = k;
                return;
            }
            Cycle &mine = at(k), &other = at(holder);
            const bool add = other.bounds || (!mine.bounds && other.order < mine.order);
            if (add) {
                mine.cycle = sum(mine.cycle, other.cycle);
                if (mine.bounds) mine.filling = sum(mine.filling, other.filling);
            } else {
                other.cycle = sum(other.cycle, mine.cycle);
                std::swap(holder, k);
            }
        }
    }

    void enter(int32_t cell) {
        if (dim(cell) > longest_ + 1) return;
        const auto faces = cells_.boundary(cell);
        Chain rest(faces.begin(), faces.end()), filling{cell}, living;  // living: the sum of what lives in the boundary
        int32_t dying = -1;
        while (!rest.empty()) {
            const int32_t k = by_last_[static_cast<size_t>(rest.back())];
            rest = sum(rest, at(k).cycle);
            if (at(k).bounds) {
                filling = sum(filling, at(k).filling);
            } else {
                living = sum(living, at(k).cycle);
                if (dying < 0 || at(k).order > at(dying).order) dying = k;
            }
        }
        if (dying < 0) {
            const int32_t k = room();
            at(k) = {std::move(filling), {}, false, ++latest_, position_, false};
            place(k);
            return;
        }
        end(at(dying), living, position_ - 1, true);
        by_last_[static_cast<size_t>(at(dying).cycle.back())] = -1;
        at(dying) = {std::move(living), std::move(filling), true, 0, 0, false};
        place(dying);
    }

    void leave(int32_t cell) {
        if (dim(cell) > longest_ + 1) return;
        std::vector<int32_t> holding;
        for (int32_t k = 0; k < static_cast<int32_t>(basis_.size()); ++k) {
            if (!at(k).cycle.empty() && holds(at(k).cycle, cell)) holding.push_back(k);
        }
        if (!holding.empty()) {  // they live: what bounds holds no cell without cofaces
            std::sort(holding.begin(), holding.end(), [&](int32_t a, int32_t b) { return at(a).order < at(b).order; });
            const Cycle gone = at(holding.front());
            end(gone, gone.cycle, position_ - 1, false);
            for (const int32_t k : holding) by_last_[static_cast<size_t>(at(k).cycle.back())] = -1;
            at(holding.front()) = {};
            free_.push_back(holding.front());
            for (size_t i = 1; i < holding.size(); ++i) {
                at(holding[i]).cycle = sum(at(holding[i]).cycle, gone.cycle);
                place(holding[i]);
            }
            for (Cycle& z : basis_) {
                if (z.bounds && holds(z.filling, cell)) z.filling = sum(z.filling, gone.cycle);
            }
            return;
        }
        int32_t born = -1;  // among the boundaries of chains with the cell, the one with the lowest last cell
        for (int32_t k = 0; k < static_cast<int32_t>(basis_.size()); ++k) {
            if (!at(k).bounds || !holds(at(k).filling, cell)) continue;
            if (born < 0 || at(k).cycle.back() < at(born).cycle.back()) born = k;
        }
        if (born < 0) return;  // of a dimension whose cycles are not kept
        const Cycle fresh = at(born);
        for (int32_t k = 0; k < static_cast<int32_t>(basis_.size()); ++k) {
            if (k == born || !at(k).bounds || !holds(at(k).filling, cell)) continue;
            at(k).cycle = sum(at(k).cycle, fresh.cycle);
            at(k).filling = sum(at(k).filling, fresh.filling);
        }
        at(born) = {fresh.cycle, {}, false, --earliest_, position_, true};
    }

    const Cells& cells_;
    const int longest_;
    int32_t position_ = 0;
    int64_t latest_ = 0, earliest_ = 0;
    std::vector<Cycle> basis_;
    std::vector<int32_t> free_, by_last_;  // by_last_: of a cell, the cycle whose last cell it is, or -1
    BarsWithCycles found_;
};

}  // namespace

BarsWithCycles bars_with_cycles(const Cells& cells, int max_dimension) { return Walk(cells, max_dimension).run(); }

}  // namespace moiety::topology
