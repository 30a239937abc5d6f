#include "hypergraph/smooth.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "core/scratch.hpp"
#include "graph/schedule.hpp"
#include "hypergraph/smooth_kernels.hpp"

namespace moiety::hypergraph {
namespace {

constexpr int64_t panel_bytes = 256;

template <class T>
void scale_scalar(const SmoothTask<T>& t, T* z, int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
        for (int64_t f = 0; f < t.width; ++f) z[v * t.width + f] = t.scale[v] * t.x[v * t.ld + f];
}

template <class T>
void gather_scalar(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
        const Star<T>& s = t.star[e];
        for (int64_t f = 0; f < t.width; ++f) {
            const auto z = [&](int64_t v) { return t.factor[v * t.step] * t.source[v * t.lds + f]; };
            const T pair = z(s.end[0]) + z(s.end[1]);
            T sum = pair;
            if (t.mediators) {
                t.of_mediators(e)[f] = s.weight * pair;
                sum = 0;
                for (int64_t k = t.members.row_start[e]; k < t.members.row_start[e + 1]; ++k)
                    sum += z(t.members.column[k]);
            }
            t.of_ends(e)[f] = weight_of_ends(s, t.mediators) * sum;
        }
    }
}

template <class T>
void spread_scalar(const SmoothTask<T>& t, int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
        for (int64_t f = 0; f < t.width; ++f) {
            T sum = t.own[v] * t.scale[v] * t.x[v * t.ld + f];
            for (int64_t k = t.holders.row_start[v]; k < t.holders.row_start[v + 1]; ++k) {
                const int64_t e = t.holders.column[k];
                if (t.at_end[k] != 0)
                    sum += t.of_ends(e)[f];
                else if (t.mediators)
                    sum += t.of_mediators(e)[f];
            }
            t.y[v * t.ld + f] = t.scale[v] * sum;
        }
}

template <class T>
const SmoothKernels<T>& kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return smooth_avx512<T>();
    if (isa() == Isa::avx2) return smooth_avx2<T>();
#endif
    static constexpr SmoothKernels<T> scalar = {scale_scalar<T>, gather_scalar<T>, spread_scalar<T>};
    return scalar;
}

}  // namespace

template <class T>
void smooth(const Hypergraph& h, const Stars<T>& stars, const T* x, T* y, int64_t width, int threads) {
    check(stars.star.size() == h.hyperedges() && stars.scale.size() == h.nodes() &&
              stars.at_end.size() == h.members.edges(),
          "smooth: expected the stars of this hypergraph, got some of ", stars.scale.size(), " nodes and ",
          stars.star.size(), " hyperedges for ", h.nodes(), " and ", h.hyperedges());
    const SmoothKernels<T>& kernel = kernels<T>();
    const bool mediators = stars.rule.mediators;
    const int64_t panel = std::min<int64_t>(width, panel_bytes / static_cast<int64_t>(sizeof(T)));
    Scratch<T> message((mediators ? 2 * h.hyperedges() : h.hyperedges() + 1) * panel);
    const bool packs = h.nodes() * panel * static_cast<int64_t>(sizeof(T)) > packing_bytes;
    Scratch<T> z(packs ? h.nodes() * panel : 0);
    for (int64_t f = 0; f < width; f += panel) {
        SmoothTask<T> task{h.members,
                           h.holders,
                           stars.star.data(),
                           stars.at_end.data(),
                           stars.scale.data(),
                           stars.own.data(),
                           mediators,
                           x + f,
                           y + f,
                           width,
                           std::min(panel, width - f),
                           message.data(),
                           x + f,
                           width,
                           stars.scale.data(),
                           1};
        if (packs) {
            parallel_for(h.nodes(), 1 + (1 << 16) / task.width, threads,
                         [&](int64_t begin, int64_t end) { kernel.scale(task, z.data(), begin, end); });
            static constexpr T one{1};
            task.source = z.data(), task.lds = task.width, task.factor = &one, task.step = 0;
        }
        if (!mediators) std::fill_n(task.of_ends(h.hyperedges()), task.width, T{0});
        graph::for_rows(h.members.row_start, h.hyperedges(), task.width, threads,
                        [&](int64_t begin, int64_t end) { kernel.gather(task, begin, end); });
        graph::for_rows(h.holders.row_start, h.nodes(), task.width, threads,
                        [&](int64_t begin, int64_t end) { kernel.spread(task, begin, end); });
    }
}

template void smooth(const Hypergraph&, const Stars<float>&, const float*, float*, int64_t, int);
template void smooth(const Hypergraph&, const Stars<double>&, const double*, double*, int64_t, int);
template void smooth(const Hypergraph&, const Stars<uint64_t>&, const uint64_t*, uint64_t*, int64_t, int);

}  // namespace moiety::hypergraph
