// One coned matrix: the reduction of a block of positions, from the state of its past to that of its future.
#pragma once

#include <cstdint>
#include <vector>

#include "topology/cells.hpp"
#include "topology/chain.hpp"

namespace moiety::topology {

// A bar that reaches the border of two blocks, and a cycle there that it lives in.
struct Carried {
    int8_t dimension;
    bool open;      // its birth
    int32_t first;  // its first position
    Chain cycle;
};

class ConedBlock {
  public:
    ConedBlock(int32_t positions, int max_dimension) : final_(positions - 1), top_(max_dimension + 1) {}

    // The first `present` cells are those of K_s, those from there to `until` enter at s < enter <= e (or at 0 in the
    // first block); positions are [s, e]. `carried` is the basis at s in order of its flag, and becomes that at e,
    // unless e is the last position: then bars that reach it are complete.
    void run(const Cells& cells, int32_t present, int32_t until, int32_t s, int32_t e, std::vector<Carried>& carried,
             Bars& bars, Work& work);

  private:
    // Rows and columns have one numbering: w, then the block's cells in the order of entry, then cones by rank.
    struct Column {
        int64_t start = -1;  // in pool_; -1: the boundary as it is
        int32_t length = 0;
    };

    void gather(const Cells& cells, int32_t present, int32_t until, int32_t s, int32_t e,
                std::vector<Carried>& carried);
    void order_cones(int32_t e);
    void reduce_dimension(int dim, Work& work);
    void reduce_column(int32_t column, Work& work);
    void reduce_edges(Work& work);
    void finish(int32_t column, int32_t pivot, bool track, Chain& history_sum);
    void pair(int32_t row, int32_t column);
    void emit(Bars& bars, std::vector<Carried>& carried);
    Chain history(int32_t column) const;

    template <class F>
    void each_entry(int32_t column, F&& f) const;  // of the boundary of a cell or cone
    bool cone(int32_t row) const { return row >= count_; }
    int32_t base(int32_t row) const { return cone(row) ? ranked_[static_cast<size_t>(row - count_)] : row; }
    bool ends(int32_t cell) const { return exit_[static_cast<size_t>(cell)] == end_; }
    int dim_of(int32_t row) const { return dim_[static_cast<size_t>(base(row))] + (cone(row) ? 1 : 0); }

    const int32_t final_;  // the last position
    const int top_;
    bool last_ = false;
    int32_t end_ = 0, count_ = 0, past_ = 0;  // e; w and cells; w and y's
    std::vector<int8_t> dim_;                 // of the block's cells; w is number 0
    std::vector<int32_t> id_, enter_, exit_;  // id: in `cells`, -1 for w, y and x; exit: at most e
    std::vector<int64_t> start_;
    std::vector<int32_t> face_, ranked_, rank_;  // cones: the cell of a rank, the rank of a cell or -1
    std::vector<int32_t> owner_;                 // of a row: the column with that pivot, or -1
    std::vector<Column> column_;                 // of a row's owner
    std::vector<std::vector<int32_t>> by_dim_;   // columns
    std::vector<int32_t> pool_;
    std::vector<Carried> past_bars_;
    std::vector<std::pair<int32_t, Carried>> ending_;  // bars that reach e, with their place in the flag's order
    std::vector<Chain> histories_;                     // of columns of cones of K_e that were summed from several
    std::vector<int32_t> history_of_;                  // a column's number there, or -1
    BitTree tree_;
};

}  // namespace moiety::topology
