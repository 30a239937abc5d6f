#include "mpc/extremes.hpp"

#include <algorithm>

#include "crypto/bits.hpp"
#include "mpc/compare.hpp"
#include "mpc/pool.hpp"
#include "mpc/product.hpp"

namespace moiety::mpc {
namespace {

// Entries of the pattern are numbered first, then each level's results in order.
Tournament row_tournament(const Pattern& rows) {
    std::vector<std::vector<int>> windows;
    for (int64_t row = 0; row < rows.rows(); ++row) {
        std::vector<int> window;
        for (int64_t i = rows.indptr[static_cast<size_t>(row)]; i < rows.indptr[static_cast<size_t>(row) + 1]; ++i)
            window.push_back(static_cast<int>(i));
        check(window.size() >= 2, "row ", row, " has ", window.size(), " entries: extremes need at least two");
        windows.push_back(std::move(window));
    }
    return tournament(std::move(windows), static_cast<int>(rows.entries()));
}

// Numbers of `batch` elements for every entry of the tournament, of the maximum's first, then of the minimum's.
template <class T>
class Sides {
  public:
    Sides(int64_t entries, int64_t batch) : entries_(entries), batch_(batch), values_(2 * entries * batch) {}
    T* at(int side, int64_t entry) { return values_.data() + (side * entries_ + entry) * batch_; }

  private:
    int64_t entries_, batch_;
    Buffer<T> values_;
};

}  // namespace

std::vector<int64_t> extremes_pairs(const Pattern& rows) {
    std::vector<int64_t> pairs;
    for (const auto& level : row_tournament(rows).levels) pairs.push_back(static_cast<int64_t>(level.size()));
    return pairs;
}

template <class T>
Task extremes(Party<T>& party, int64_t first, std::span<const T> x, std::shared_ptr<const Pattern> rows, int64_t batch,
              T slack, T* out) {
    check(static_cast<int64_t>(x.size()) == batch * rows->columns, "the extremes of ", batch, " x ", rows->columns,
          " values got ", x.size());
    const Tournament bracket = row_tournament(*rows);
    const int64_t entries = rows->entries(), edges = rows->rows();
    int64_t every = entries;
    for (const auto& level : bracket.levels) every += static_cast<int64_t>(level.size());

    const T more_for_left = party.server() ? slack : T{};

    // 1. Upwards.
    Sides<T> values(every, batch);
    for (int side = 0; side < 2; ++side)
        for (int64_t i = 0; i < entries; ++i)
            for (int64_t b = 0; b < batch; ++b)
                values.at(side, i)[b] =
                    x[static_cast<size_t>(b * rows->columns + rows->indices[static_cast<size_t>(i)])];
    std::vector<Buffer<T>> chosen;
    int64_t made = entries;
    for (const auto& level : bracket.levels) {
        const int64_t pairs = static_cast<int64_t>(level.size()), n = 2 * pairs * batch;
        Buffer<T> difference(n), selected(n), bit(n);
        for (int side = 0; side < 2; ++side)
            for (int64_t p = 0; p < pairs; ++p) {
                const auto& [left, right] = level[static_cast<size_t>(p)];
                const T *upper = values.at(side, side == 0 ? left : right),
                        *lower = values.at(side, side == 0 ? right : left);
                T* to = difference.data() + (side * pairs + p) * batch;
                for (int64_t b = 0; b < batch; ++b) to[b] = upper[b] - lower[b] + more_for_left;
            }
        std::vector<std::span<const T>> operands{std::as_const(difference).span()};
        std::vector<T*> results{selected.data()};
        co_await compare_select<T>(party, first++, operands[0], operands, results, bit.data());
        for (int side = 0; side < 2; ++side)
            for (int64_t p = 0; p < pairs; ++p) {
                const T* right = values.at(side, level[static_cast<size_t>(p)].second);
                const T *more = selected.data() + (side * pairs + p) * batch,
                        *won = bit.data() + (side * pairs + p) * batch;
                T* to = values.at(side, made + p);
                for (int64_t b = 0; b < batch; ++b) {
                    const T gained = more[b] - slack * won[b];
                    to[b] = side == 0 ? right[b] + gained : right[b] - gained;
                }
            }
        made += pairs;
        chosen.push_back(std::move(bit));
    }

    // 2. Rows whose values differ.
    Buffer<T> span(edges * batch), equal(edges * batch);
    for (int64_t e = 0; e < edges; ++e) {
        const int last = bracket.winners[static_cast<size_t>(e)];
        for (int64_t b = 0; b < batch; ++b)
            span[e * batch + b] = values.at(1, last)[b] - values.at(0, last)[b] + more_for_left;
    }
    co_await compare_select<T>(party, first++, std::as_const(span).span(), {}, {}, equal.data());

    // 3. Downwards; the values are not needed any more.
    Sides<T>& indicators = values;
    for (int64_t e = 0; e < edges; ++e)
        for (int side = 0; side < 2; ++side)
            for (int64_t b = 0; b < batch; ++b)
                indicators.at(side, bracket.winners[static_cast<size_t>(e)])[b] =
                    (party.server() ? T{1} : T{}) - equal[e * batch + b];
    for (size_t l = bracket.levels.size(); l-- > 0;) {
        const auto& level = bracket.levels[l];
        const int64_t pairs = static_cast<int64_t>(level.size()), n = 2 * pairs * batch;
        made -= pairs;
        Buffer<T> parent(n), product(n);
        for (int side = 0; side < 2; ++side)
            std::copy_n(indicators.at(side, made), pairs * batch, parent.data() + side * pairs * batch);
        co_await multiply<T>(party, first, std::as_const(parent).span(), std::as_const(chosen[l]).span(),
                             product.data());
        first += 2;
        for (int side = 0; side < 2; ++side)
            for (int64_t p = 0; p < pairs; ++p) {
                const auto& [left, right] = level[static_cast<size_t>(p)];
                for (int64_t b = 0; b < batch; ++b) {
                    const int64_t i = (side * pairs + p) * batch + b;
                    indicators.at(side, left)[b] = product[i];
                    indicators.at(side, right)[b] = parent[i] - product[i];
                }
            }
    }
    for (int64_t b = 0; b < batch; ++b)
        for (int side = 0; side < 2; ++side)
            for (int64_t i = 0; i < entries; ++i) out[(2 * b + side) * entries + i] = indicators.at(side, i)[b];
}

template <class T>
Task disclose(Party<T>&, std::span<const T> bits, T* out) {
    const int64_t n = static_cast<int64_t>(bits.size()), words = plane_words(n);
    Buffer<uint64_t> mine(words), theirs(words);
    crypto::to_planes(bits.data(), n, 0, 1, mine.data(), words);
    co_await Hop().send(mine.data(), words).receive(theirs.data(), words);
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(((mine[i / 64] ^ theirs[i / 64]) >> (i % 64)) & 1);
}

#define MOIETY_INSTANTIATE(T)                                                                                       \
    template Task extremes(Party<T>&, int64_t, std::span<const T>, std::shared_ptr<const Pattern>, int64_t, T, T*); \
    template Task disclose(Party<T>&, std::span<const T>, T*);
MOIETY_INSTANTIATE(uint32_t)
MOIETY_INSTANTIATE(uint64_t)
#undef MOIETY_INSTANTIATE

}  // namespace moiety::mpc
