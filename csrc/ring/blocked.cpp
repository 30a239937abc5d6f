#include "ring/blocked.hpp"

#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "core/parallel.hpp"

namespace moiety::ring {
namespace {

constexpr int64_t depth_limit = 320;   // p of a block: long enough that reading and writing C is seldom
constexpr int64_t row_limit = 96;      // rows of a block of A: with the depth above, a part of the second-level cache
constexpr int64_t column_limit = 512;  // columns of a block of B: with the depth above, about the second-level cache
constexpr int64_t slack = 64;          // elements past the packed panels that pack_b may write

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// `size` cut into equal blocks of at most `limit`, each a multiple of `unit`: no thin block at the end.
int64_t even_block(int64_t size, int64_t limit, int64_t unit) {
    const int64_t blocks = std::max<int64_t>(1, divide_up(size, limit));
    return divide_up(divide_up(size, blocks), unit) * unit;
}

// Storage of the packed blocks: one set a thread, kept between calls, so that small products allocate nothing.
template <class T>
T* scratch(Buffer<T>& buffer, int64_t size) {
    if (buffer.size() < size) buffer = Buffer<T>(size);
    return buffer.data();
}

// A panel of columns: runs [first, first + count) of the block's list.
struct Panel {
    int64_t columns, first, count;
};

// The segments that meet columns [begin, end), cut into panels of `width` columns.
void cut(std::span<const Segment> segments, int64_t begin, int64_t end, int64_t width, std::vector<Panel>& panels,
         std::vector<Run>& runs, std::vector<int64_t>& targets) {
    panels.clear();
    runs.clear();
    targets.clear();
    auto segment = std::upper_bound(segments.begin(), segments.end(), begin,
                                    [](int64_t column, const Segment& s) { return column < s.column + s.length; });
    for (int64_t at = begin; at < end; at += width) {
        const int64_t stop = std::min(at + width, end);
        panels.push_back({stop - at, static_cast<int64_t>(runs.size()), 0});
        for (int64_t j = at; j < stop;) {
            const int64_t skip = j - segment->column, length = std::min(stop - j, segment->length - skip);
            runs.push_back({j - at, length, segment->b_base + skip});
            targets.push_back(segment - segments.begin());
            j += length;
            ++panels.back().count;
            if (skip + length == segment->length) ++segment;
        }
    }
}

template <class T>
class Block {
  public:
    Block(const BlockedProduct<T>& product, const GemmKernels<T>& kernels) : q_(product), kernel_(kernels) {}

    // Rows [row_begin, row_end) x columns [column_begin, column_end) of C, on this thread.
    void run(int64_t row_begin, int64_t row_end, int64_t column_begin, int64_t column_end) {
        const int64_t width = kernel_.columns, height = kernel_.rows;
        const int64_t depth = even_block(q_.k, depth_limit, 2), held = packed_depth(kernel_.paired, depth);
        const int64_t rows = even_block(row_end - row_begin, row_limit, height);
        const int64_t columns = even_block(column_end - column_begin, column_limit, width);
        const bool a_in_place = q_.a_offset == nullptr && column_end - column_begin <= 2 * width;
        thread_local Buffer<T> a_buffer, b_buffer, tile_buffer;
        T* packed_b = scratch(b_buffer, columns * held + slack);
        T* packed_a = a_in_place ? nullptr : scratch(a_buffer, rows * held);
        tile_ = scratch(tile_buffer, width * height);
        for (int64_t j = column_begin; j < column_end; j += columns) {
            cut(q_.segments, j, std::min(j + columns, column_end), width, panels_, runs_, segment_of_);
            for (int64_t p = 0; p < q_.k; p += depth) {
                const int64_t steps = std::min(depth, q_.k - p), packed = packed_depth(kernel_.paired, steps);
                for (size_t n = 0; n < panels_.size(); ++n)
                    kernel_.pack_b(q_.b, q_.b_offset + p, steps, &runs_[static_cast<size_t>(panels_[n].first)],
                                   panels_[n].count, packed_b + static_cast<int64_t>(n) * width * packed);
                for (int64_t i = row_begin; i < row_end; i += rows) {
                    const int64_t stop = std::min(i + rows, row_end);
                    if (!a_in_place) pack_rows(i, stop, p, steps, packed_a);
                    for (size_t n = 0; n < panels_.size(); ++n)
                        for (int64_t r = i; r < stop; r += height)
                            tile(panels_[n], r, std::min(height, stop - r), p, steps,
                                 a_in_place ? q_.a + r * q_.a_row + p : packed_a + (r - i) * packed,
                                 a_in_place ? q_.a_row : 0, packed_b + static_cast<int64_t>(n) * width * packed);
                }
            }
        }
    }

  private:
    void pack_rows(int64_t begin, int64_t end, int64_t p, int64_t steps, T* packed) const {
        const int64_t* offset = q_.a_offset == nullptr ? nullptr : q_.a_offset + p;
        for (int64_t r = begin; r < end; r += kernel_.rows)
            kernel_.pack_a(q_.a + r * q_.a_row + (offset == nullptr ? p : 0), q_.a_row, offset,
                           std::min(kernel_.rows, end - r), steps,
                           packed + (r - begin) * packed_depth(kernel_.paired, steps));
    }

    void tile(const Panel& panel, int64_t row, int64_t count, int64_t p, int64_t steps, const T* a, int64_t a_stride,
              const T* b) const {
        const bool add = q_.accumulate || p > 0;
        T* c = q_.c + row * q_.c_row;
        if (panel.count == 1 && q_.c_step == 1) {
            kernel_.tile(steps, a, a_stride, b, c + target(panel.first), q_.c_row, count, panel.columns, add);
            return;
        }
        const int64_t width = kernel_.columns;
        kernel_.tile(steps, a, a_stride, b, tile_, width, count, panel.columns, false);
        for (int64_t n = panel.first; n < panel.first + panel.count; ++n) {
            const Run& run = runs_[static_cast<size_t>(n)];
            T* base = c + target(n);
            for (int64_t i = 0; i < count; ++i) {
                const T* from = tile_ + i * width + run.column;
                T* to = base + i * q_.c_row;
                if (q_.c_step == 1 && add)
                    for (int64_t j = 0; j < run.length; ++j) to[j] += from[j];
                else if (q_.c_step == 1)
                    for (int64_t j = 0; j < run.length; ++j) to[j] = from[j];
                else if (add)
                    for (int64_t j = 0; j < run.length; ++j) to[j * q_.c_step] += from[j];
                else
                    for (int64_t j = 0; j < run.length; ++j) to[j * q_.c_step] = from[j];
            }
        }
    }

    // Where run n starts in a row of C: as far into its segment as it starts in the segment's part of B.
    int64_t target(int64_t n) const {
        const Segment& s = q_.segments[static_cast<size_t>(segment_of_[static_cast<size_t>(n)])];
        return s.c_base + (runs_[static_cast<size_t>(n)].base - s.b_base) * q_.c_step;
    }

    const BlockedProduct<T>& q_;
    const GemmKernels<T>& kernel_;
    T* tile_ = nullptr;
    std::vector<Panel> panels_;
    std::vector<Run> runs_;
    std::vector<int64_t> segment_of_;
};

}  // namespace

template <class T>
void blocked_product(const BlockedProduct<T>& product, const GemmKernels<T>& kernels, int threads) {
    const int64_t columns = product.columns(), panels = divide_up(columns, kernels.columns);
    const int64_t row_panels = divide_up(product.m, kernels.rows);
    if (threads <= 0) threads = default_threads();
    // Below this many products a thread costs more to wake than it saves.
    constexpr int64_t worthwhile = int64_t{1} << 18;
    const int64_t work = std::max<int64_t>(1, product.k) * kernels.rows * kernels.columns;  // of one tile
    const int64_t least = std::max<int64_t>(1, worthwhile / work);                          // tiles a range
    // Threads take columns where there are enough of them, since those share nothing; else rows.
    if (panels >= row_panels || panels >= 8 * threads)
        parallel_for(panels, std::max(divide_up(least, row_panels), divide_up(panels, threads)), threads,
                     [&](int64_t begin, int64_t end) {
                         Block<T>(product, kernels)
                             .run(0, product.m, begin * kernels.columns, std::min(columns, end * kernels.columns));
                     });
    else
        parallel_for(row_panels, std::max(divide_up(least, panels), divide_up(row_panels, threads)), threads,
                     [&](int64_t begin, int64_t end) {
                         Block<T>(product, kernels)
                             .run(begin * kernels.rows, std::min(product.m, end * kernels.rows), 0, columns);
                     });
}

template void blocked_product(const BlockedProduct<uint32_t>&, const GemmKernels<uint32_t>&, int);
template void blocked_product(const BlockedProduct<uint64_t>&, const GemmKernels<uint64_t>&, int);

}  // namespace moiety::ring
