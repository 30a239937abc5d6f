#include "topology/compress.hpp"

#include <algorithm>

namespace moiety::topology {

void NormalForms::resize(int64_t count) {
    state_.resize(static_cast<size_t>(count), State::critical);
    value_.resize(static_cast<size_t>(count), -1);
}

void NormalForms::set(int32_t cell, std::span<const int32_t> chain) {
    const size_t i = static_cast<size_t>(cell);
    if (chain.empty()) {
        state_[i] = State::nothing;
    } else if (chain.size() == 1) {
        state_[i] = State::single;
        value_[i] = chain[0];
    } else {
        const int32_t length = static_cast<int32_t>(chain.size());
        if (state_[i] == State::list && range_[static_cast<size_t>(value_[i])].capacity >= length) {
            Range& range = range_[static_cast<size_t>(value_[i])];
            std::copy(chain.begin(), chain.end(), pool_.begin() + range.start);
            range.length = length;
            return;
        }
        if (state_[i] != State::list) {
            state_[i] = State::list;
            value_[i] = static_cast<int32_t>(range_.size());
            range_.emplace_back();
        }
        range_[static_cast<size_t>(value_[i])] = {static_cast<int64_t>(pool_.size()), length, length};
        pool_.insert(pool_.end(), chain.begin(), chain.end());
    }
}

// Whether what `cell` is written in needs no rewriting.
bool NormalForms::settled(int32_t cell) const {
    const size_t i = static_cast<size_t>(cell);
    if (state_[i] != State::list) return true;  // singles are followed by settle()
    const Range& range = range_[static_cast<size_t>(value_[i])];
    const auto first = pool_.begin() + range.start;
    return std::all_of(first, first + range.length, [&](int32_t c) { return critical(c); });
}

// The end of a path of singles, which it halves.
int32_t NormalForms::settle(int32_t cell) {
    size_t i = static_cast<size_t>(cell);
    while (state_[i] == State::single) {
        const size_t next = static_cast<size_t>(value_[i]);
        if (state_[next] == State::single) value_[i] = value_[next];
        i = next;
    }
    return static_cast<int32_t>(i);
}

// Writes the list of `cell` in critical cells, and those lists first that it rests on. No recursion: chains of
// matched cells can be as long as the sequence.
void NormalForms::rewrite(int32_t cell) {
    waiting_.assign(1, cell);
    while (!waiting_.empty()) {
        const int32_t top = waiting_.back();
        const Range range = range_[static_cast<size_t>(value_[static_cast<size_t>(top)])];
        int32_t blocked = -1;
        for (int64_t k = range.start; k < range.start + range.length && blocked < 0; ++k) {
            const int32_t end = settle(pool_[static_cast<size_t>(k)]);
            if (!settled(end)) blocked = end;
        }
        if (blocked >= 0) {
            waiting_.push_back(blocked);
            continue;
        }
        scratch_.clear();
        for (int64_t k = range.start; k < range.start + range.length; ++k) {
            const int32_t end = settle(pool_[static_cast<size_t>(k)]);
            const size_t i = static_cast<size_t>(end);
            if (state_[i] == State::critical) {
                scratch_.push_back(end);
            } else if (state_[i] == State::list) {
                const Range& other = range_[static_cast<size_t>(value_[i])];
                scratch_.insert(scratch_.end(), pool_.begin() + other.start,
                                pool_.begin() + other.start + other.length);
            }
        }
        cancel(scratch_);
        set(top, scratch_);
        waiting_.pop_back();
    }
}

void NormalForms::append(int32_t cell, Chain& chain) {
    int32_t end = settle(cell);
    if (!settled(end)) {
        rewrite(end);
        end = settle(end);
    }
    const size_t i = static_cast<size_t>(end);
    if (state_[i] == State::critical) {
        chain.push_back(end);
    } else if (state_[i] == State::list) {
        const Range& range = range_[static_cast<size_t>(value_[i])];
        chain.insert(chain.end(), pool_.begin() + range.start, pool_.begin() + range.start + range.length);
    }
}

namespace {

// Boundaries of cells of the top dimension and one lifetime, by their last element, to tell which depend on others.
class Echelon {
  public:
    explicit Echelon(int64_t cells) : row_(static_cast<size_t>(cells), -1) {}
    void clear() {
        for (const auto& chain : chains_) row_[static_cast<size_t>(chain.back())] = -1;
        chains_.clear();
    }
    // Reduces `chain` by what is there and keeps it unless nothing is left.
    bool keep(Chain& chain) {
        while (!chain.empty()) {
            int32_t& row = row_[static_cast<size_t>(chain.back())];
            if (row < 0) {
                row = static_cast<int32_t>(chains_.size());
                chains_.push_back(chain);
                return true;
            }
            const Chain& other = chains_[static_cast<size_t>(row)];
            sum_.clear();
            std::set_symmetric_difference(chain.begin(), chain.end(), other.begin(), other.end(),
                                          std::back_inserter(sum_));
            chain.swap(sum_);
        }
        return false;
    }

  private:
    std::vector<int32_t> row_;
    std::vector<Chain> chains_;
    Chain sum_;
};

}  // namespace

Cells compress(const Cells& cells, int max_dimension, Work& work, std::vector<int32_t>* order) {
    const int64_t n = cells.size();
    NormalForms forms;
    forms.resize(n);
    Echelon echelon(n);
    std::vector<int64_t> kept_start;  // boundaries of cells that had no critical face of their own lifetime
    std::vector<int32_t> kept, kept_face;
    Chain chain;
    int64_t lifetime = 0;  // the first cell of this one's
    for (int64_t c = 0; c < n; ++c) {
        const size_t i = static_cast<size_t>(c);
        const size_t first = static_cast<size_t>(lifetime);
        if (cells.enter[i] != cells.enter[first] || cells.exit[i] != cells.exit[first]) {
            lifetime = c;
            echelon.clear();
        }
        const int dim = cells.dimension[i];
        const int32_t cell = static_cast<int32_t>(c);
        if (dim > max_dimension + 1) {
            forms.drop(cell);
            continue;
        }
        chain.clear();
        for (const int32_t f : cells.boundary(c)) forms.append(f, chain);
        cancel(chain);
        if (!chain.empty() && chain.back() >= lifetime) {
            const int32_t face = chain.back();
            chain.pop_back();
            forms.set(face, chain);
            forms.drop(cell);
            continue;
        }
        if (dim == max_dimension + 1 && !echelon.keep(chain)) {
            forms.drop(cell);
            continue;
        }
        kept.push_back(cell);
        kept_start.push_back(static_cast<int64_t>(kept_face.size()));
        kept_face.insert(kept_face.end(), chain.begin(), chain.end());
    }
    kept_start.push_back(static_cast<int64_t>(kept_face.size()));

    Cells left;
    left.positions = cells.positions;
    std::vector<int32_t> number(static_cast<size_t>(n), -1);
    if (order != nullptr) order->clear();
    for (size_t k = 0; k < kept.size(); ++k) {
        const size_t i = static_cast<size_t>(kept[k]);
        if (!forms.critical(kept[k])) continue;  // matched with a coface since
        chain.assign(kept_face.begin() + kept_start[k], kept_face.begin() + kept_start[k + 1]);
        for (int32_t& f : chain) f = number[static_cast<size_t>(f)];
        number[i] = static_cast<int32_t>(left.size());
        left.add(cells.dimension[i], cells.enter[i], cells.exit[i], chain);
        if (order != nullptr) order->push_back(kept[k]);
    }
    work.cells += n;
    work.critical += left.size();
    work.matched += n - left.size();
    return left;
}

}  // namespace moiety::topology
