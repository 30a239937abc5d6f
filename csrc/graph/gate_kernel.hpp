// The kernel of gated sums over Lanes<float> of the file that includes this one after its vector_*.hpp.
#pragma once

#include "graph/gate_kernels.hpp"
#include "graph/tile.hpp"

namespace moiety::graph {
namespace {

template <int Vectors, bool Partial>
[[gnu::noinline]] void gate_tile(const GateTask<float>& t, int64_t first, int64_t behind, int64_t feature,
                                 int64_t tail) {
    using L = Lanes<float>;
    using S = Tile<float, Vectors, Partial>;
    const float *other = t.other + feature, *values = t.values + feature;
    const auto one = L::broadcast(1), zero = L::zero();
    for (int64_t row = first; row < behind; ++row) {
        typename L::Register own[Vectors], sum[Vectors], rise[Vectors];
        for (int v = 0; v < Vectors; ++v) {
            own[v] = L::subtract(zero, S::load(t.own + row * t.width + feature, v, tail));
            sum[v] = rise[v] = zero;
        }
        for (int64_t e = t.row_start[row]; e < t.row_start[row + 1]; ++e) {
            if (e + S::ahead < t.edges) {
                const int64_t next = t.column(e + S::ahead) * t.width;
                prefetch_row(other + next, S::bytes);
                prefetch_row(values + next, S::bytes);
            }
            const int64_t at = t.column(e) * t.width;
            for (int v = 0; v < Vectors; ++v) {
                const auto raised = L::exp(L::subtract(own[v], S::load(other + at, v, tail)));
                const auto gate = L::divide(one, L::add(one, raised)), value = S::load(values + at, v, tail);
                const auto steep = L::multiply(gate, L::subtract(one, gate));
                sum[v] = L::multiply_add(gate, value, sum[v]);
                rise[v] = L::multiply_add(steep, value, rise[v]);
            }
        }
        for (int v = 0; v < Vectors; ++v) {
            S::store(t.sum + row * t.width + feature, v, sum[v], tail);
            S::store(t.rise + row * t.width + feature, v, rise[v], tail);
        }
    }
}

void gate_rows(const GateTask<float>& t, int64_t begin, int64_t end) {
    for_tiles<float, 4>(t.width, begin, end,
                        [&]<int Vectors, bool Partial>(int64_t first, int64_t behind, int64_t feature, int64_t tail) {
                            gate_tile<Vectors, Partial>(t, first, behind, feature, tail);
                        });
}

}  // namespace
}  // namespace moiety::graph
