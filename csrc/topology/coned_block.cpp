#include "topology/coned_block.hpp"

#include <algorithm>
#include <numeric>

#include "topology/compress.hpp"

namespace moiety::topology {

void ConedBlock::run(const Cells& cells, int32_t present, int32_t until, int32_t s, int32_t e,
                     std::vector<Carried>& carried, Bars& bars, Work& work) {
    end_ = e;
    last_ = e == final_;
    gather(cells, present, until, s, e, carried);
    order_cones(e);
    for (int dim = top_ + 1; dim >= 2; --dim) reduce_dimension(dim, work);
    reduce_edges(work);
    emit(bars, carried);
    ++work.blocks;
    const int64_t rows = static_cast<int64_t>(owner_.size());
    work.stored = std::max(work.stored, static_cast<int64_t>(pool_.size()));
    work.bytes = std::max(work.bytes, static_cast<int64_t>(count_) * (1 + 3 * 4 + 8 + 4) + rows * (4 + 16 + 4 + 4) +
                                          static_cast<int64_t>(face_.size() + pool_.size()) * 4);
}

void ConedBlock::gather(const Cells& cells, int32_t present, int32_t until, int32_t s, int32_t e,
                        std::vector<Carried>& carried) {
    std::vector<int32_t> number(static_cast<size_t>(until), -1);
    dim_.assign(1, 0);
    id_.assign(1, -1);
    enter_.assign(1, 0);
    exit_.assign(1, e);
    start_.assign(2, 0);
    face_.clear();
    const auto add = [&](int dim, int32_t id, int32_t enter, int32_t exit) {
        dim_.push_back(static_cast<int8_t>(dim));
        id_.push_back(id);
        enter_.push_back(enter);
        exit_.push_back(exit);
        start_.push_back(static_cast<int64_t>(face_.size()));
    };
    const auto add_cell = [&](int32_t id, int32_t enter) {
        const size_t i = static_cast<size_t>(id);
        if (cells.dimension[i] > top_) return;
        number[i] = static_cast<int32_t>(dim_.size());
        for (const int32_t f : cells.boundary(id)) face_.push_back(number[static_cast<size_t>(f)]);
        add(cells.dimension[i], id, enter, std::min(cells.exit[i], e));
    };
    past_bars_ = std::move(carried);
    carried.clear();
    for (const Carried& bar : past_bars_) add(bar.dimension, -1, bar.first, e);
    past_ = static_cast<int32_t>(dim_.size());
    for (int32_t id = 0; id < present; ++id) add_cell(id, s);
    for (size_t k = 0; k < past_bars_.size(); ++k) {
        for (const int32_t id : past_bars_[k].cycle) face_.push_back(number[static_cast<size_t>(id)]);
        face_.push_back(static_cast<int32_t>(k) + 1);
        add(past_bars_[k].dimension + 1, -1, s, e);
    }
    for (int32_t id = present; id < until; ++id) add_cell(id, cells.enter[static_cast<size_t>(id)]);
    count_ = static_cast<int32_t>(dim_.size());
}

// Ranks by falling exit; faces, which stay at least as long and have lower numbers, come before their cofaces.
void ConedBlock::order_cones(int32_t e) {
    ranked_.clear();
    rank_.assign(static_cast<size_t>(count_), -1);
    for (int32_t c = 1; c < count_; ++c) {
        if (id_[static_cast<size_t>(c)] >= 0) ranked_.push_back(c);
    }
    int32_t least = e;
    for (const int32_t c : ranked_) least = std::min(least, exit_[static_cast<size_t>(c)]);
    std::vector<int32_t> place(static_cast<size_t>(e - least) + 2, 0), sorted(ranked_.size());
    for (const int32_t c : ranked_) ++place[static_cast<size_t>(e - exit_[static_cast<size_t>(c)]) + 1];
    std::partial_sum(place.begin(), place.end(), place.begin());
    for (const int32_t c : ranked_) {
        const int32_t at = place[static_cast<size_t>(e - exit_[static_cast<size_t>(c)])]++;
        sorted[static_cast<size_t>(at)] = c;
        rank_[static_cast<size_t>(c)] = at;
    }
    ranked_.swap(sorted);

    const size_t rows = static_cast<size_t>(count_) + ranked_.size();
    owner_.assign(rows, -1);
    history_of_.assign(rows, -1);
    column_.assign(rows, Column{});
    pool_.clear();
    histories_.clear();
    by_dim_.assign(static_cast<size_t>(top_) + 2, {});
    for (int32_t c = 1; c < static_cast<int32_t>(rows); ++c) {
        const int dim = dim_of(c);
        if (dim <= top_ + 1) by_dim_[static_cast<size_t>(dim)].push_back(c);
    }
    tree_.resize(static_cast<int64_t>(rows));
}

template <class F>
void ConedBlock::each_entry(int32_t column, F&& f) const {
    const size_t i = static_cast<size_t>(base(column));
    if (cone(column)) {
        f(static_cast<int32_t>(i));
        if (dim_[i] == 0) f(0);
    }
    for (int64_t k = start_[i]; k < start_[i + 1]; ++k) {
        const int32_t face = face_[static_cast<size_t>(k)];
        f(cone(column) ? count_ + rank_[static_cast<size_t>(face)] : face);
    }
}

void ConedBlock::pair(int32_t row, int32_t column) { owner_[static_cast<size_t>(row)] = column; }

// The cells of K_e whose cones were summed into the column of one of them.
Chain ConedBlock::history(int32_t column) const {
    const int32_t at = history_of_[static_cast<size_t>(column)];
    if (at < 0) return {id_[static_cast<size_t>(base(column))]};
    return histories_[static_cast<size_t>(at)];
}

void ConedBlock::reduce_dimension(int dim, Work& work) {
    for (const int32_t column : by_dim_[static_cast<size_t>(dim)]) {
        if (owner_[static_cast<size_t>(column)] < 0) reduce_column(column, work);
    }
}

void ConedBlock::reduce_column(int32_t column, Work& work) {
    ++work.columns;
    int32_t pivot = -1;
    each_entry(column, [&](int32_t row) { pivot = std::max(pivot, row); });
    if (pivot < 0) return;
    if (owner_[static_cast<size_t>(pivot)] < 0) {
        pair(pivot, column);
        return;
    }
    const bool track = !last_ && cone(column) && dim_of(column) <= top_ && ends(base(column));
    Chain history_sum;
    const auto load = [&](int32_t row) {
        tree_.toggle(row);
        ++work.entries;
    };
    each_entry(column, load);
    while (true) {
        const int32_t owner = owner_[static_cast<size_t>(pivot)];
        if (owner < 0) break;
        ++work.additions;
        const Column& stored = column_[static_cast<size_t>(pivot)];
        if (stored.start < 0) {
            each_entry(owner, load);
        } else {
            for (int32_t k = 0; k < stored.length; ++k) load(pool_[static_cast<size_t>(stored.start + k)]);
        }
        if (track && cone(owner)) {
            const Chain other = history(owner);
            history_sum.insert(history_sum.end(), other.begin(), other.end());
        }
        pivot = tree_.max();
        if (pivot < 0) return;  // a cycle: whatever kills it is of a dimension that was left out
    }
    finish(column, pivot, track, history_sum);
}

// Writes down what is in the tree as the column that owns `pivot`.
void ConedBlock::finish(int32_t column, int32_t pivot, bool track, Chain& history_sum) {
    const int64_t start = static_cast<int64_t>(pool_.size());
    tree_.drain(pool_);
    column_[static_cast<size_t>(pivot)] = {start, static_cast<int32_t>(static_cast<int64_t>(pool_.size()) - start)};
    pair(pivot, column);
    if (!track || history_sum.empty()) return;
    history_sum.push_back(id_[static_cast<size_t>(base(column))]);
    cancel(history_sum);
    history_of_[static_cast<size_t>(column)] = static_cast<int32_t>(histories_.size());
    histories_.push_back(std::move(history_sum));
}

// Dimension 1: a vertex that was paired is written in those that were not, as in union-find; then cones of vertices.
void ConedBlock::reduce_edges(Work& work) {
    NormalForms forms;
    forms.resize(count_);
    Chain chain;
    for (const int32_t column : by_dim_[1]) {
        if (owner_[static_cast<size_t>(column)] >= 0) continue;
        ++work.columns;
        const size_t i = static_cast<size_t>(base(column));
        chain.clear();
        if (!cone(column)) {
            for (int64_t k = start_[i]; k < start_[i + 1]; ++k) forms.append(face_[static_cast<size_t>(k)], chain);
            work.entries += static_cast<int64_t>(chain.size());
            cancel(chain);
            if (chain.empty()) continue;
            pair(chain.back(), column);
            const int32_t pivot = chain.back();
            chain.pop_back();
            forms.set(pivot, chain);
            continue;
        }
        forms.append(static_cast<int32_t>(i), chain);
        chain.push_back(0);
        for (const int32_t row : chain) tree_.toggle(row);
        work.entries += static_cast<int64_t>(chain.size());
        Chain history_sum;
        int32_t pivot = tree_.max();
        while (pivot >= 0 && owner_[static_cast<size_t>(pivot)] >= 0) {
            ++work.additions;
            const Column& stored = column_[static_cast<size_t>(pivot)];
            for (int32_t k = 0; k < stored.length; ++k) tree_.toggle(pool_[static_cast<size_t>(stored.start + k)]);
            work.entries += stored.length;
            const Chain other = history(owner_[static_cast<size_t>(pivot)]);
            history_sum.insert(history_sum.end(), other.begin(), other.end());
            pivot = tree_.max();
        }
        if (pivot < 0) continue;
        finish(column, pivot, !last_ && ends(static_cast<int32_t>(i)), history_sum);
    }
}

void ConedBlock::emit(Bars& bars, std::vector<Carried>& carried) {
    ending_.clear();
    const int longest = top_ - 1;
    const auto reached = [&](int dim, int32_t first, bool open, int32_t order, Chain cycle) {
        ending_.push_back({order, {static_cast<int8_t>(dim), open, first, std::move(cycle)}});
    };
    const int32_t rows = static_cast<int32_t>(owner_.size());
    for (int32_t row = 1; row < rows; ++row) {
        const int32_t column = owner_[static_cast<size_t>(row)];
        if (column < 0) continue;
        const size_t i = static_cast<size_t>(base(row)), j = static_cast<size_t>(base(column));
        const int dim = dim_[i];
        const bool past = !cone(row) && row < past_;
        const bool born_open = past && past_bars_[static_cast<size_t>(row - 1)].open;
        if (cone(row)) {  // from after j has left to i's last position
            if (dim > longest || exit_[j] >= exit_[i]) continue;
            if (last_ || !ends(static_cast<int32_t>(i))) {
                bars.add(dim, exit_[j] + 1, exit_[i], open_closed);
                continue;
            }
            Chain cycle;
            const auto take = [&](int32_t entry) {
                if (cone(entry)) cycle.push_back(id_[static_cast<size_t>(base(entry))]);
            };
            const Column& stored = column_[static_cast<size_t>(row)];
            if (stored.start < 0) {
                each_entry(column, take);
            } else {
                for (int32_t k = 0; k < stored.length; ++k) take(pool_[static_cast<size_t>(stored.start + k)]);
            }
            reached(dim, exit_[j] + 1, true, column - rows, std::move(cycle));  // before all that have a row
        } else if (!cone(column)) {                                             // from i's entry to before j's
            if (dim <= longest && enter_[i] < enter_[j]) {
                bars.add(dim, enter_[i], enter_[j] - 1, born_open ? open_open : closed_open);
            }
        } else if (past || enter_[i] <= exit_[j]) {  // from i's entry to j's last position
            if (dim > longest) continue;
            if (last_ || !ends(static_cast<int32_t>(j))) {
                bars.add(dim, enter_[i], exit_[j], born_open ? open_closed : closed_closed);
            } else {
                reached(dim, enter_[i], born_open, row, history(column));
            }
        } else if (exit_[j] + 1 < enter_[i]) {  // from after j has left to before i enters
            bars.add(dim - 1, exit_[j] + 1, enter_[i] - 1, open_open);
        }
    }
    std::stable_sort(ending_.begin(), ending_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& ending : ending_) carried.push_back(std::move(ending.second));
}

}  // namespace moiety::topology
