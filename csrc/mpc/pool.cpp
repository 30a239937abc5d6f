#include "mpc/pool.hpp"

#include <cstring>
#include <map>

#include "mpc/compare.hpp"

namespace moiety::mpc {
namespace {

// Copies entry rows of x (outer, length, inner) to (length, outer, inner), and winners back.
template <class T>
void rows_from(const T* x, int64_t outer, int64_t length, int64_t inner, T* rows) {
    for (int64_t i = 0; i < length; ++i)
        for (int64_t o = 0; o < outer; ++o)
            std::memcpy(rows + (i * outer + o) * inner, x + (o * length + i) * inner,
                        static_cast<size_t>(inner) * sizeof(T));
}

template <class T>
void rows_to(const std::vector<const T*>& rows, int64_t outer, int64_t inner, T* x) {
    const int64_t length = static_cast<int64_t>(rows.size());
    for (int64_t i = 0; i < length; ++i)
        for (int64_t o = 0; o < outer; ++o)
            std::memcpy(x + (o * length + i) * inner, rows[static_cast<size_t>(i)] + o * inner,
                        static_cast<size_t>(inner) * sizeof(T));
}

// Plays one tournament over rows of `row` elements; values[e] (and indices[e], if any) point to entry e and are
// appended to.
template <class T>
Task play(Party<T>& party, int64_t first, const Tournament& tournament, int64_t row, std::vector<const T*>& values,
          std::vector<const T*>* indices, std::vector<Buffer<T>>& storage) {
    for (const auto& level : tournament.levels) {
        const int64_t pairs = static_cast<int64_t>(level.size()), n = pairs * row;
        const int tracks = indices == nullptr ? 1 : 2;
        std::vector<Buffer<T>> difference, result;
        for (int track = 0; track < tracks; ++track) {
            const std::vector<const T*>& entries = track == 0 ? values : *indices;
            difference.emplace_back(n);
            result.emplace_back(n);
            for (int64_t p = 0; p < pairs; ++p) {
                const T* left = entries[static_cast<size_t>(level[static_cast<size_t>(p)].first)];
                const T* right = entries[static_cast<size_t>(level[static_cast<size_t>(p)].second)];
                T* to = difference.back().data() + p * row;
                for (int64_t i = 0; i < row; ++i) to[i] = left[i] - right[i];
            }
        }
        std::vector<std::span<const T>> operands;
        std::vector<T*> out;
        for (int track = 0; track < tracks; ++track) {
            operands.push_back(std::as_const(difference[static_cast<size_t>(track)]).span());
            out.push_back(result[static_cast<size_t>(track)].data());
        }
        co_await compare_select<T>(party, first++, operands[0], operands, out, nullptr);
        for (int track = 0; track < tracks; ++track) {
            std::vector<const T*>& entries = track == 0 ? values : *indices;
            Buffer<T>& winners = result[static_cast<size_t>(track)];
            for (int64_t p = 0; p < pairs; ++p) {
                const T* right = entries[static_cast<size_t>(level[static_cast<size_t>(p)].second)];
                T* to = winners.data() + p * row;
                for (int64_t i = 0; i < row; ++i) to[i] += right[i];
            }
            for (int64_t p = 0; p < pairs; ++p) entries.push_back(winners.data() + p * row);
            storage.push_back(std::move(winners));
        }
    }
}

}  // namespace

Tournament tournament(std::vector<std::vector<int>> windows, int entries) {
    Tournament made;
    for (bool open = true; open;) {
        open = false;
        std::map<std::pair<int, int>, int> met;
        std::vector<std::pair<int, int>> level;
        for (std::vector<int>& window : windows) {
            std::vector<int> next;
            for (size_t i = 0; i + 1 < window.size(); i += 2) {
                const std::pair<int, int> pair{window[i], window[i + 1]};
                const auto [at, fresh] = met.try_emplace(pair, entries);
                if (fresh) {
                    level.push_back(pair);
                    ++entries;
                }
                next.push_back(at->second);
            }
            if (window.size() % 2 == 1) next.push_back(window.back());
            window = std::move(next);
            open |= window.size() > 1;
        }
        if (!level.empty()) made.levels.push_back(std::move(level));
    }
    for (const std::vector<int>& window : windows) made.winners.push_back(window[0]);
    return made;
}

Tournament pool_tournament(const PoolAxis& axis) {
    std::vector<std::vector<int>> windows;
    for (int64_t o = 0; o < axis.out; ++o) {
        std::vector<int> window;
        for (int64_t j = 0; j < axis.kernel; ++j) {
            const int64_t i = o * axis.stride - axis.padding + j * axis.dilation;
            if (i >= 0 && i < axis.length) window.push_back(static_cast<int>(i));
        }
        check(!window.empty(), "pooling window ", o, " lies outside its ", axis.length, " elements");
        windows.push_back(std::move(window));
    }
    return tournament(std::move(windows), static_cast<int>(axis.length));
}

Tournament argmax_tournament(int64_t classes) {
    std::vector<int> all;
    for (int64_t i = 0; i < classes; ++i) all.push_back(static_cast<int>(i));
    return tournament({all}, static_cast<int>(classes));
}

void PoolShape::validate() const {
    check(outer > 0 && !axes.empty() && axes.size() <= 3, "pooling takes one to three axes, got ", axes.size());
    for (const PoolAxis& a : axes)
        check(a.length > 0 && a.kernel > 0 && a.stride > 0 && a.padding >= 0 && a.dilation > 0 && a.out > 0 &&
                  a.length < (1 << 20) && a.kernel < (1 << 20),
              "pooling axis of ", a.length, " with kernel ", a.kernel, ", stride ", a.stride, ", padding ", a.padding,
              ", dilation ", a.dilation, " and ", a.out, " windows is not possible");
}

int64_t PoolShape::out_size() const {
    int64_t size = outer;
    for (const PoolAxis& axis : axes) size *= axis.out;
    return size;
}

std::vector<int64_t> PoolShape::comparisons() const {
    validate();
    std::vector<int64_t> counts;
    for (int64_t a = static_cast<int64_t>(axes.size()) - 1; a >= 0; --a) {
        int64_t row = outer;
        for (int64_t b = 0; b < static_cast<int64_t>(axes.size()); ++b)
            if (b != a) row *= b < a ? axes[static_cast<size_t>(b)].length : axes[static_cast<size_t>(b)].out;
        for (const auto& level : pool_tournament(axes[static_cast<size_t>(a)]).levels)
            counts.push_back(static_cast<int64_t>(level.size()) * row);
    }
    return counts;
}

std::vector<int64_t> argmax_comparisons(int64_t batch, int64_t classes) {
    std::vector<int64_t> counts;
    for (const auto& level : argmax_tournament(classes).levels)
        counts.push_back(static_cast<int64_t>(level.size()) * batch);
    return counts;
}

template <class T>
Task maxpool(Party<T>& party, int64_t first, std::span<const T> x, PoolShape shape, T* out) {
    shape.validate();
    int64_t size = shape.outer;
    for (const PoolAxis& axis : shape.axes) size *= axis.length;
    check(static_cast<int64_t>(x.size()) == size, "the pooling was planned for ", size, " elements, got ", x.size());
    Buffer<T> current(size);
    std::memcpy(current.data(), x.data(), x.size_bytes());
    int64_t inner = 1;
    for (int64_t a = static_cast<int64_t>(shape.axes.size()) - 1; a >= 0; --a) {
        const PoolAxis& axis = shape.axes[static_cast<size_t>(a)];
        const int64_t outer = current.size() / (axis.length * inner), row = outer * inner;
        const Tournament tournament = pool_tournament(axis);
        Buffer<T> rows(current.size());
        rows_from(current.data(), outer, axis.length, inner, rows.data());
        std::vector<const T*> values;
        for (int64_t i = 0; i < axis.length; ++i) values.push_back(rows.data() + i * row);
        std::vector<Buffer<T>> storage;
        co_await play<T>(party, first, tournament, row, values, nullptr, storage);
        first += static_cast<int64_t>(tournament.levels.size());
        std::vector<const T*> winners;
        for (int entry : tournament.winners) winners.push_back(values[static_cast<size_t>(entry)]);
        Buffer<T> next(row * axis.out);
        rows_to(winners, outer, inner, next.data());
        current = std::move(next);
        inner *= axis.out;
    }
    std::memcpy(out, current.data(), static_cast<size_t>(current.size()) * sizeof(T));
}

template <class T>
Task argmax(Party<T>& party, int64_t first, std::span<const T> x, int64_t batch, int64_t classes, T* out) {
    check(static_cast<int64_t>(x.size()) == batch * classes, "argmax over ", batch, " x ", classes, " got ", x.size(),
          " elements");
    const Tournament tournament = argmax_tournament(classes);
    Buffer<T> rows(batch * classes), numbers(batch * classes);
    rows_from(x.data(), batch, classes, int64_t{1}, rows.data());
    std::vector<const T*> values, indices;
    for (int64_t c = 0; c < classes; ++c) {
        for (int64_t i = 0; i < batch; ++i) numbers[c * batch + i] = party.server() ? static_cast<T>(c) : T{};
        values.push_back(rows.data() + c * batch);
        indices.push_back(numbers.data() + c * batch);
    }
    std::vector<Buffer<T>> storage;
    co_await play<T>(party, first, tournament, batch, values, &indices, storage);
    std::memcpy(out, indices[static_cast<size_t>(tournament.winners[0])], static_cast<size_t>(batch) * sizeof(T));
}

#define MOIETY_INSTANTIATE(T)                                                     \
    template Task maxpool(Party<T>&, int64_t, std::span<const T>, PoolShape, T*); \
    template Task argmax(Party<T>&, int64_t, std::span<const T>, int64_t, int64_t, T*);
MOIETY_INSTANTIATE(uint32_t)
MOIETY_INSTANTIATE(uint64_t)
#undef MOIETY_INSTANTIATE

}  // namespace moiety::mpc
