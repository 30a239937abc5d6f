// The kernels of graph attention over Lanes<T> of the file that includes this one after its vector_*.hpp. The heads
// are at most the lanes of a vector. All scores of a few edges are computed together, in vectors where the heads divide
// the lanes and one by one where they do not.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>

#include "core/buffer.hpp"
#include "graph/dot_kernel.hpp"
#include "graph/gat_kernels.hpp"
#include "graph/heads_kernel.hpp"

namespace moiety::graph {
namespace {

// Edges of a source that are taken together in the gradient, while their targets stay in the cache.
constexpr int64_t gat_block = 64;

// Numbers of heads spread over the features of a tile.
template <int Vectors>
struct Spread {
    using L = Lanes<float>;
    typename L::Map map[Vectors];

    Spread(int64_t feature, int64_t head_width, int64_t heads) {
        for (int v = 0; v < Vectors; ++v) {
            int32_t head[L::lanes];
            for (int64_t lane = 0; lane < L::lanes; ++lane)
                head[lane] = static_cast<int32_t>(std::min((feature + v * L::lanes + lane) / head_width, heads - 1));
            map[v] = L::map(head);
        }
    }
    L::Register operator()(L::Register of_heads, int v) const { return L::spread(of_heads, map[v]); }
};

// The leaky ReLU of the scores of row i's edges and their maxima by head, then the exponentials of what they differ,
// with a minus sign where the score is not positive, and their sums.
template <class T, class I>
class GatScores {
  public:
    using L = Lanes<float>;

    GatScores(const GatForward<T, I>& t, int64_t longest)
        : t_(t),
          heads_(t.shape.heads),
          divides_(L::lanes % heads_ == 0),
          lanes_(divides_ ? heads_ : 1),
          raised_(longest * heads_ + L::lanes) {}

    const float* raised() const { return raised_.data(); }
    const float* most() const { return most_; }
    const float* total() const { return total_; }
    const float* positive() const { return positive_; }  // of the total, what positive scores make

    void compute(int64_t i) {
        const int64_t begin = t_.a.row_start[i], count = t_.a.row_start[i + 1] - begin, n = count * heads_;
        float* s = raised_.data();
        for (int64_t k = 0; k < count; ++k)  // what a vector writes behind its heads, the next one overwrites
            L::store(s + k * heads_, L::load_weights(t_.source + t_.a.column[begin + k] * heads_, heads_));
        const float* own = t_.target + i * heads_;
        if (!divides_) return compute_singly(n, own);
        const auto slope = L::broadcast(static_cast<float>(t_.shape.slope)), target = lanes_.repeat(own);
        for (int64_t k = 0; k < n; k += L::lanes) {
            const auto z = L::add(L::load(s + k), target);
            L::store(s + k, L::where_positive_else(z, z, L::multiply(z, slope)));
        }
        // Behind the end the scores are so low that they count for nothing.
        auto most = L::broadcast(-std::numeric_limits<float>::infinity()), total = L::zero(), positive = L::zero();
        L::store(s + n, most);
        for (int64_t k = 0; k < n; k += L::lanes) most = L::max(most, L::load(s + k));
        most = lanes_.fold(most, L::max);
        for (int64_t k = 0; k < n; k += L::lanes) {
            const auto z = L::load(s + k), e = L::exp(L::subtract(z, most));
            const auto marked = L::where_positive_else(z, e, L::subtract(L::zero(), e));
            total = L::add(total, e);
            positive = L::add(positive, L::max(marked, L::zero()));
            L::store(s + k, marked);
        }
        L::store(most_, most);
        L::store(total_, lanes_.fold(total, L::add));
        L::store(positive_, lanes_.fold(positive, L::add));
    }

  private:
    void compute_singly(int64_t n, const float* target) {
        float* s = raised_.data();
        for (int64_t h = 0; h < heads_; ++h) {
            float most = -std::numeric_limits<float>::infinity(), total = 0, positive = 0;
            for (int64_t k = h; k < n; k += heads_) {
                const float z = s[k] + target[h];
                s[k] = z > 0 ? z : z * static_cast<float>(t_.shape.slope);
                most = s[k] > most ? s[k] : most;
            }
            for (int64_t k = h; k < n; k += heads_) {
                const float e = std::exp(s[k] - most);
                total += e;
                if (s[k] > 0) positive += e;
                s[k] = s[k] > 0 ? e : -e;
            }
            most_[h] = most;
            total_[h] = total;
            positive_[h] = positive;
        }
    }

    const GatForward<T, I>& t_;
    int64_t heads_;
    bool divides_;
    HeadLanes lanes_;
    Buffer<float> raised_;
    float most_[L::lanes], total_[L::lanes], positive_[L::lanes];
};

// y_i, and with Keep p_i, over one tile of features.
template <class T, class I, int Vectors, bool Partial, bool Keep>
inline void gat_tile(const GatForward<T, I>& t, const GatScores<T, I>& scores, int64_t i, int64_t feature,
                     int64_t tail) {
    using L = Lanes<float>;
    using S = Tile<T, Vectors, Partial>;
    const int64_t heads = t.shape.heads, width = t.shape.width();
    const Spread<Vectors> spread(feature, t.shape.head_width, heads);
    const T* x = t.x + feature;
    const int64_t begin = t.a.row_start[i], end = t.a.row_start[i + 1], last = t.a.edges() - S::ahead;
    typename L::Register sum[Vectors], positive[Vectors];
    for (int v = 0; v < Vectors; ++v) sum[v] = positive[v] = L::zero();
    for (int64_t e = begin; e < end; ++e) {
        if (e < last) prefetch_row(x + t.a.column[e + S::ahead] * width, S::bytes);
        const T* source = x + t.a.column[e] * width;
        const auto raised = L::load_weights(scores.raised() + (e - begin) * heads, heads);
        const auto all = L::absolute(raised), some = L::max(raised, L::zero());
        for (int v = 0; v < Vectors; ++v) {
            const auto entry = S::load(source, v, tail);
            sum[v] = L::multiply_add(entry, spread(all, v), sum[v]);
            if constexpr (Keep) positive[v] = L::multiply_add(entry, spread(some, v), positive[v]);
        }
    }
    const auto total = L::load_weights(scores.total(), heads);
    const auto share = L::divide(L::broadcast(1), total);
    for (int v = 0; v < Vectors; ++v) {
        const auto scale = spread(share, v);
        S::store(t.y + i * width + feature, v, L::multiply(sum[v], scale), tail);
        if constexpr (Keep)
            Tile<float, Vectors, Partial>::store(t.saved.positive + i * width + feature, v,
                                                 L::multiply(positive[v], scale), tail);
    }
}

template <class T, class I>
void gat_forward_rows(const GatForward<T, I>& t, int64_t begin, int64_t end) {
    const int64_t heads = t.shape.heads, width = t.shape.width();
    const bool keeps = t.saved.positive != nullptr;
    GatScores<T, I> scores(t, t.longest);
    for (int64_t i = begin; i < end; ++i) {
        const int64_t count = t.a.row_start[i + 1] - t.a.row_start[i];
        if (count == 0) {
            std::memset(static_cast<void*>(t.y + i * width), 0, static_cast<size_t>(width) * sizeof(T));
            if (!keeps) continue;
            std::fill(t.saved.positive + i * width, t.saved.positive + (i + 1) * width, 0.0f);
            std::fill(t.saved.log_sum + i * heads, t.saved.log_sum + (i + 1) * heads, 0.0f);
            std::fill(t.saved.share + i * heads, t.saved.share + (i + 1) * heads, 0.0f);
            continue;
        }
        scores.compute(i);
        for_row_tiles<T, 4>(width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
            if (keeps)
                gat_tile<T, I, Vectors, Partial, true>(t, scores, i, feature, tail);
            else
                gat_tile<T, I, Vectors, Partial, false>(t, scores, i, feature, tail);
        });
        if (!keeps) continue;
        for (int64_t h = 0; h < heads; ++h) {
            t.saved.log_sum[i * heads + h] = scores.most()[h] + std::log(scores.total()[h]);
            t.saved.share[i * heads + h] = scores.positive()[h] / scores.total()[h];
        }
    }
}

// <a, b> over n features of types that have the same vectors.
template <class A, class B>
inline float mixed_dot(const A* a, const B* b, int64_t n) {
    using L = Lanes<float>;
    auto sum = L::zero();
    int64_t f = 0;
    for (; f + L::lanes <= n; f += L::lanes) sum = L::multiply_add(L::load(a + f), L::load(b + f), sum);
    if (f < n) sum = L::multiply_add(L::load_partial(a + f, n - f), L::load_partial(b + f, n - f), sum);
    return L::sum(sum);
}

template <class T>
void gat_targets_rows(const GatTargets<T>& t, int64_t begin, int64_t end) {
    const int64_t heads = t.shape.heads, features = t.shape.head_width;
    for (int64_t i = begin; i < end; ++i)
        for (int64_t h = 0; h < heads; ++h) {
            const int64_t at = i * heads + h, row = at * features;
            const float delta = mixed_dot(t.dy + row, t.y + row, features);
            const float positive = mixed_dot(t.dy + row, t.saved.positive + row, features);
            float* node = t.node + i * gat_node_terms * heads + h;
            node[0] = t.target[at];
            node[heads] = t.saved.log_sum[at];
            node[2 * heads] = delta;
            t.dtarget[at] = static_cast<float>(1 - t.shape.slope) * (positive - delta * t.saved.share[at]);
        }
}

// alpha and dz of up to gat_block edges of one source, all heads.
class GatBlock {
  public:
    using L = Lanes<float>;

    explicit GatBlock(const GatShape& shape)
        : heads_(shape.heads),
          slope_(static_cast<float>(shape.slope)),
          divides_(L::lanes % heads_ == 0),
          lanes_(divides_ ? heads_ : 1),
          memory_(4 * stride()) {}

    float* dots() { return memory_.data(); }  // g, then alpha
    const float* alpha() const { return memory_.data(); }
    void start() { std::fill(sum_, sum_ + L::lanes, 0.0f); }
    const float* sum() const { return sum_; }  // of dz, by head

    void set(int64_t k, const float* node) {
        for (int64_t term = 0; term < gat_node_terms; ++term)  // what is written behind the heads, the next overwrites
            L::store(memory_.data() + (1 + term) * stride() + k * heads_,
                     L::load_weights(node + term * heads_, heads_));
    }
    void compute(int64_t count, const float* source) {
        const int64_t n = count * heads_;
        float *g = memory_.data(), *target = g + stride(), *log_sum = target + stride(), *delta = log_sum + stride();
        if (!divides_) {
            for (int64_t k = 0; k < n; ++k) {
                const float z = source[k % heads_] + target[k];
                const float alpha = std::exp((z > 0 ? z : slope_ * z) - log_sum[k]);
                sum_[k % heads_] += alpha * (g[k] - delta[k]) * (z > 0 ? 1 : slope_);
                g[k] = alpha;
            }
            return;
        }
        for (float* p : {g, target, log_sum, delta}) L::store(p + n, L::zero());  // behind the end dz is zero
        const auto own = lanes_.repeat(source), slope = L::broadcast(slope_), one = L::broadcast(1);
        auto total = L::zero();
        for (int64_t k = 0; k < n; k += L::lanes) {
            const auto z = L::add(own, L::load(target + k)), derivative = L::where_positive_else(z, one, slope);
            const auto alpha = L::exp(L::subtract(L::multiply(z, derivative), L::load(log_sum + k)));
            const auto rise = L::multiply(L::subtract(L::load(g + k), L::load(delta + k)), derivative);
            // Alpha is no weight of an edge behind the end, and might be infinite.
            total = L::add(total, k + L::lanes <= n ? L::multiply(alpha, rise) : some(alpha, rise, n - k));
            L::store(g + k, alpha);
        }
        float lane[L::lanes];
        L::store(lane, lanes_.fold(total, L::add));
        for (int64_t h = 0; h < heads_; ++h) sum_[h] += lane[h];
    }

  private:
    static L::Register some(L::Register alpha, L::Register rise, int64_t count) {
        float a[L::lanes];
        L::store(a, alpha);
        return L::multiply(L::load_partial(a, count), rise);
    }
    int64_t stride() const { return gat_block * heads_ + L::lanes; }

    int64_t heads_;
    float slope_;
    bool divides_;
    HeadLanes lanes_;
    Buffer<float> memory_;
    float sum_[L::lanes];
};

// dx (+)= sum of alpha dy over the edges of a block and one tile of features.
template <class T, int Vectors, bool Partial>
[[gnu::noinline]] void gat_block_tile(const GatShape& shape, const Rows<T>& dy, const float* alpha, int64_t count,
                                      int64_t feature, int64_t tail, float* dx, bool first) {
    using L = Lanes<float>;
    using S = Tile<T, Vectors, Partial>;
    using D = Tile<float, Vectors, Partial>;
    const int64_t heads = shape.heads;
    const Spread<Vectors> spread(feature, shape.head_width, heads);
    typename L::Register sum[Vectors];
    for (int v = 0; v < Vectors; ++v) sum[v] = first ? L::zero() : D::load(dx + feature, v, tail);
    for (int64_t k = 0; k < count; ++k) {
        const T* row = dy(k) + feature;
        const auto weights = L::load_weights(alpha + k * heads, heads);
        for (int v = 0; v < Vectors; ++v) sum[v] = L::multiply_add(S::load(row, v, tail), spread(weights, v), sum[v]);
    }
    for (int v = 0; v < Vectors; ++v) D::store(dx + feature, v, sum[v], tail);
}

template <class T, class I>
void gat_sources_rows(const GatSources<T, I>& t, int64_t begin, int64_t end) {
    using L = Lanes<float>;
    const int64_t heads = t.shape.heads, features = t.shape.head_width, width = t.shape.width();
    const int64_t edges = t.by_source.edges(), terms = gat_node_terms * heads;
    GatBlock block(t.shape);
    Buffer<float> sums(width + L::lanes);
    for (int64_t j = begin; j < end; ++j) {
        const int64_t last = t.by_source.row_start[j + 1];
        block.start();
        std::fill(sums.data(), sums.data() + width, 0.0f);
        for (int64_t e = t.by_source.row_start[j]; e < last; e += gat_block) {
            const int64_t count = std::min(gat_block, last - e);
            const I* row = t.by_source.column + e;
            for (int64_t k = 0; k < count; ++k) {
                if (e + k + gat_block < edges) prefetch_row(t.node + row[k + gat_block] * terms, 1);
                block.set(k, t.node + row[k] * terms);
            }
            Rows<T> dy{t.dy, width, Columns(row), edges - e};
            for (int64_t h = 0; h < heads; ++h) {
                dots<T>(t.x + j * width + h * features, dy, count, h * features, features, block.dots() + h, heads);
                dy.left = 0;  // the first head has fetched all
            }
            block.compute(count, t.source + j * heads);
            const bool first = e == t.by_source.row_start[j];
            for_row_tiles<T, 4>(width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
                gat_block_tile<T, Vectors, Partial>(t.shape, dy, block.alpha(), count, feature, tail, sums.data(),
                                                    first);
            });
        }
        for_row_tiles<T, 4>(width, [&]<int Vectors, bool Partial>(int64_t feature, int64_t tail) {
            for (int v = 0; v < Vectors; ++v)
                Tile<T, Vectors, Partial>::store(t.dx + j * width + feature, v,
                                                 L::load(sums.data() + feature + v * L::lanes), tail);
        });
        std::copy(block.sum(), block.sum() + heads, t.dsource + j * heads);
    }
}

template <class T, class I>
constexpr GatKernels<T, I> gat_table{Lanes<float>::lanes, gat_forward_rows<T, I>, gat_targets_rows<T>,
                                     gat_sources_rows<T, I>};

}  // namespace
}  // namespace moiety::graph
