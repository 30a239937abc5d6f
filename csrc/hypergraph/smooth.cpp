#include "hypergraph/smooth.hpp"

#include <algorithm>

#include "core/cpu.hpp"
#include "core/scratch.hpp"
#include "graph/schedule.hpp"
#include "hypergraph/smooth_kernels.hpp"

namespace moiety::hypergraph {
namespace {

constexpr int64_t panel_bytes = 256;

template <class T>
void gather_scalar(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
        const Star<T>& s = t.star[e];
        T* total = t.total(e);
        for (int64_t f = 0; f < t.width; ++f) {
            const T pair = t.scale[s.first] * t.x[s.first * t.ld + f] + t.scale[s.second] * t.x[s.second * t.ld + f];
            T sum = pair;
            if (t.mediators) {
                total[t.width + f] = s.weight * pair;
                sum = 0;
                for (int64_t k = t.members.row_start[e]; k < t.members.row_start[e + 1]; ++k)
                    sum += t.scale[t.members.column[k]] * t.x[t.members.column[k] * t.ld + f];
            }
            total[f] = total_weight(s, t.mediators) * sum;
        }
    }
}

template <class T>
void spread_scalar(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
        for (int64_t f = 0; f < t.width; ++f) {
            T sum = 0, own = t.loop;
            for (int64_t k = t.holders.row_start[v]; k < t.holders.row_start[v + 1]; ++k) {
                const int64_t e = t.holders.column[k];
                const Star<T>& s = t.star[e];
                if (s.ends_at(v)) {
                    sum += t.total(e)[f];
                    if (!s.loop()) own -= s.weight;
                } else if (t.mediators) {
                    sum += t.total(e)[t.width + f];
                }
            }
            t.y[v * t.ld + f] = t.scale[v] * (sum + own * (t.scale[v] * t.x[v * t.ld + f]));
        }
}

template <class T>
const SmoothKernels<T>& kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return smooth_avx512<T>();
    if (isa() == Isa::avx2) return smooth_avx2<T>();
#endif
    static constexpr SmoothKernels<T> scalar = {gather_scalar<T>, spread_scalar<T>};
    return scalar;
}

}  // namespace

template <class T>
void smooth(const Hypergraph& h, const Rule& rule, const Pairs& pairs, bool check_pairs, int fraction_bits, const T* x,
            T* y, int64_t width, int threads) {
    const Stars<T> stars = make_stars<T>(h, rule, pairs, check_pairs, fraction_bits, threads);
    const SmoothKernels<T>& kernel = kernels<T>();
    const int64_t panel = std::min<int64_t>(width, panel_bytes / static_cast<int64_t>(sizeof(T)));
    SmoothTask<T> task{
        h.members, h.holders, stars.star.data(), stars.scale.data(), stars.loop, rule.mediators, x, y, width,
        panel,     nullptr};
    Scratch<T> message(h.hyperedges() * task.rows_a_star() * panel);
    task.message = message.data();
    for (int64_t f = 0; f < width; f += panel) {
        task.x = x + f;
        task.y = y + f;
        task.width = std::min(panel, width - f);
        graph::for_rows(h.members.row_start, h.hyperedges(), task.width, threads,
                        [&](int64_t begin, int64_t end) { kernel.gather(task, begin, end); });
        graph::for_rows(h.holders.row_start, h.nodes(), task.width, threads,
                        [&](int64_t begin, int64_t end) { kernel.spread(task, begin, end); });
    }
}

template void smooth(const Hypergraph&, const Rule&, const Pairs&, bool, int, const float*, float*, int64_t, int);
template void smooth(const Hypergraph&, const Rule&, const Pairs&, bool, int, const double*, double*, int64_t, int);
template void smooth(const Hypergraph&, const Rule&, const Pairs&, bool, int, const uint64_t*, uint64_t*, int64_t, int);

}  // namespace moiety::hypergraph
