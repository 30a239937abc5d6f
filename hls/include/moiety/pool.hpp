// Pooling. Sums over windows are local; max pooling is a tournament of comparisons (csrc/mpc/pool.hpp).
#pragma once

#include <moiety/compare.hpp>

namespace moiety {

// Extents as in Conv; padding adds zeros.
struct Pool {
    int in[3], kernel[3], stride[3], padding[3], out[3];
};

// y[p, o] = sum of x[p, i] over window o, for the planes [first, first + planes) and all positions of
// rows [row, row + rows) of (depth * height, width): one element a cycle and tap. avgpool's division is a truncation's.
template <int RING>
void sum_windows(const element<RING>* x, const Pool& pool, int first, int planes, int row, int rows, element<RING>* y) {
    const int in_plane = pool.in[0] * pool.in[1] * pool.in[2], width = pool.out[2];
    const int out_plane = pool.out[0] * pool.out[1] * width;
    for (int plane = first; plane < first + planes; ++plane)
        for (int at = row * width; at < (row + rows) * width; ++at) {
            const int corner[3] = {at / (pool.out[1] * width) * pool.stride[0] - pool.padding[0],
                                   at / width % pool.out[1] * pool.stride[1] - pool.padding[1],
                                   at % width * pool.stride[2] - pool.padding[2]};
            element<RING> sum = 0;
            for (int z = 0; z < pool.kernel[0]; ++z)
                for (int v = 0; v < pool.kernel[1]; ++v)
                    for (int u = 0; u < pool.kernel[2]; ++u) {
#pragma HLS PIPELINE II = 1
                        const int tap[3] = {z, v, u};
                        bool inside = true;
                        int index = 0;
                        for (int d = 0; d < 3; ++d) {
#pragma HLS UNROLL
                            const int i = corner[d] + tap[d];
                            inside = inside && i >= 0 && i < pool.in[d];
                            index = index * pool.in[d] + i;
                        }
                        if (inside) sum = element<RING>(sum + x[plane * in_plane + index]);
                    }
            y[plane * out_plane + at] = sum;
        }
}

// One level of a tournament: pairs of rows meet, max(a, b) = b + relu(a - b) in `bits` bits. rows: entry after entry of
// `row` elements; the pairs' winners are appended behind the `entries` that are there. The differences of the level are
// one request of pairs * row elements; a call of the top handles up to one tile of them.
template <int RING>
void meet(const element<RING>* rows, const ap_uint<32>* pairs, int first, int count, int row,
          hls::stream<element<RING>>& difference, hls::stream<element<RING>>& right) {
    for (int i = first; i < first + count; ++i) {
#pragma HLS PIPELINE II = 1
        const int pair = i / row, at = i % row;
        const element<RING> a = rows[pairs[2 * pair].to_int() * row + at];
        const element<RING> b = rows[pairs[2 * pair + 1].to_int() * row + at];
        difference.write(element<RING>(a - b));
        right.write(b);
    }
}
template <int RING>
void settle(hls::stream<element<RING>>& larger, hls::stream<element<RING>>& right, int count, element<RING>* winners) {
    for (int i = 0; i < count; ++i) {
#pragma HLS PIPELINE II = 1
        winners[i] = element<RING>(larger.read() + right.read());
    }
}

}  // namespace moiety
