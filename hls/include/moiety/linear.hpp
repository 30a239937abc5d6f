// Server-held linear maps as streamed tiles: y += conv(x, w) in the ring (csrc/ring/conv.hpp has the layouts).
//
// The server's online product is W * F + C_S (F the opened input, C_S and the bias in `initial`), the client's offline
// product E * B + C_C: the same tiles. OUT x LANES multipliers hold OUT output channels at LANES neighbouring output
// positions; one step takes OUT weights and LANES activations for one (input channel, tap). Weights and activations
// come from memory through address generators, zero where the kernel reaches over the border. Matrices are 1x1x1
// convolutions on a 1x1x1 input. Groups, strides, padding and dilation are as in the engine; transposed maps are not
// here, the vectors' and images' writers refuse them.
#pragma once

#include <moiety/types.hpp>

namespace moiety {

// All extents are (depth, height, width), unused ones leading.
struct Conv {
    int in_channels, out_channels, groups;
    int in[3], kernel[3], stride[3], padding[3], dilation[3], out[3];

    int taps() const { return kernel[0] * kernel[1] * kernel[2]; }
    int depth() const { return in_channels / groups * taps(); }  // products an output element
    int in_plane() const { return in[0] * in[1] * in[2]; }
    int out_plane() const { return out[0] * out[1] * out[2]; }
};

// A box of the output: channels [channel, channel + channels) of one group, positions [first, first + positions).
struct Box {
    int channel, channels, first, positions;
};

// OUT weights a step, for each block of positions once more; channels beyond the box read as zero.
template <int RING, int OUT, int LANES>
void feed_weights(const element<RING>* w, const Conv& conv, const Box& box, hls::stream<Beat<RING, OUT>>& out) {
    const int depth = conv.depth();
    for (int channel = 0; channel < box.channels; channel += OUT)
        for (int position = 0; position < box.positions; position += LANES)
            for (int step = 0; step < depth; ++step) {
#pragma HLS PIPELINE II = 1
                Beat<RING, OUT> beat;
                for (int o = 0; o < OUT; ++o) {
#pragma HLS UNROLL
                    beat.lane[o] =
                        channel + o < box.channels ? w[(box.channel + channel + o) * depth + step] : element<RING>(0);
                }
                out.write(beat);
            }
}

// LANES activations a step: the inputs that LANES neighbouring outputs need of one input channel at one tap.
template <int RING, int OUT, int LANES>
void feed_inputs(const element<RING>* x, const Conv& conv, const Box& box, hls::stream<Beat<RING, LANES>>& out) {
    const int ins = conv.in_channels / conv.groups;
    const int group = box.channel / (conv.out_channels / conv.groups);
    for (int channel = 0; channel < box.channels; channel += OUT)
        for (int position = 0; position < box.positions; position += LANES) {
            int corner[LANES][3];
            for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                const int at = box.first + position + l;
                corner[l][0] = at / (conv.out[1] * conv.out[2]) * conv.stride[0] - conv.padding[0];
                corner[l][1] = at / conv.out[2] % conv.out[1] * conv.stride[1] - conv.padding[1];
                corner[l][2] = at % conv.out[2] * conv.stride[2] - conv.padding[2];
            }
            for (int i = 0; i < ins; ++i)
                for (int z = 0; z < conv.kernel[0]; ++z)
                    for (int v = 0; v < conv.kernel[1]; ++v)
                        for (int u = 0; u < conv.kernel[2]; ++u) {
#pragma HLS PIPELINE II = 1
                            const int tap[3] = {z, v, u};
                            Beat<RING, LANES> beat;
                            for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                                bool inside = position + l < box.positions;
                                int index = group * ins + i;
                                for (int d = 0; d < 3; ++d) {
#pragma HLS UNROLL
                                    const int at = corner[l][d] + tap[d] * conv.dilation[d];
                                    inside = inside && at >= 0 && at < conv.in[d];
                                    index = index * conv.in[d] + at;
                                }
                                beat.lane[l] = inside ? x[index] : element<RING>(0);
                            }
                            out.write(beat);
                        }
        }
}

// The array of multipliers. `initial` and `result`: OUT rows of LANES positions for every block.
template <int RING, int OUT, int LANES>
void multiply_tile(int depth, const Box& box, hls::stream<Beat<RING, OUT>>& weights,
                   hls::stream<Beat<RING, LANES>>& inputs, hls::stream<Beat<RING, LANES>>& initial,
                   hls::stream<Beat<RING, LANES>>& result) {
    for (int channel = 0; channel < box.channels; channel += OUT)
        for (int position = 0; position < box.positions; position += LANES) {
            Beat<RING, LANES> sum[OUT];
#pragma HLS ARRAY_PARTITION variable = sum complete
            for (int o = 0; o < OUT; ++o) {
#pragma HLS PIPELINE II = 1
                if (channel + o < box.channels) sum[o] = initial.read();
            }
            for (int step = 0; step < depth; ++step) {
#pragma HLS PIPELINE II = 1
                const Beat<RING, OUT> w = weights.read();
                const Beat<RING, LANES> x = inputs.read();
                for (int o = 0; o < OUT; ++o) {
#pragma HLS UNROLL
                    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                        sum[o].lane[l] = element<RING>(sum[o].lane[l] + times<RING>(w.lane[o], x.lane[l]));
                    }
                }
            }
            for (int o = 0; o < OUT; ++o) {
#pragma HLS PIPELINE II = 1
                if (channel + o < box.channels) result.write(sum[o]);
            }
        }
}

// What is added to the product: C, and at S the bias.
enum Bias { no_bias = 0, bias_by_channel = 1, bias_by_element = 2 };
template <int RING, int OUT, int LANES>
void feed_initial(const element<RING>* c, const element<RING>* bias, int bias_kind, const Conv& conv, const Box& box,
                  hls::stream<Beat<RING, LANES>>& out) {
    const int plane = conv.out_plane();
    for (int channel = 0; channel < box.channels; channel += OUT)
        for (int position = 0; position < box.positions; position += LANES)
            for (int o = 0; o < OUT && channel + o < box.channels; ++o) {
#pragma HLS PIPELINE II = 1
                Beat<RING, LANES> beat;
                for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                    const int row = box.channel + channel + o, at = row * plane + box.first + position + l;
                    const bool inside = position + l < box.positions;
                    const element<RING> known = inside ? c[at] : element<RING>(0);
                    const element<RING> added = inside && bias_kind != no_bias
                                                    ? bias[bias_kind == bias_by_channel ? row : at]
                                                    : element<RING>(0);
                    beat.lane[l] = element<RING>(known + added);
                }
                out.write(beat);
            }
}

template <int RING, int OUT, int LANES>
void store_result(hls::stream<Beat<RING, LANES>>& in, const Conv& conv, const Box& box, element<RING>* y) {
    const int plane = conv.out_plane();
    for (int channel = 0; channel < box.channels; channel += OUT)
        for (int position = 0; position < box.positions; position += LANES)
            for (int o = 0; o < OUT && channel + o < box.channels; ++o) {
#pragma HLS PIPELINE II = 1
                const Beat<RING, LANES> beat = in.read();
                for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                    if (position + l < box.positions)
                        y[(box.channel + channel + o) * plane + box.first + position + l] = beat.lane[l];
                }
            }
}

// One box of the output, from memory to memory.
template <int RING, int OUT, int LANES>
void linear_box(const element<RING>* x, const element<RING>* w, const element<RING>* c, const element<RING>* bias,
                int bias_kind, const Conv& conv, const Box& box, element<RING>* y) {
#pragma HLS DATAFLOW
    using Inputs = Beat<RING, LANES>;
    using Weights = Beat<RING, OUT>;
    MOIETY_FIFO(Weights, weights, 64);
    MOIETY_FIFO(Inputs, inputs, 64);
    MOIETY_FIFO(Inputs, initial, 64);
    MOIETY_FIFO(Inputs, product, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, feed_weights<RING, OUT, LANES>(w, conv, box, weights));
    MOIETY_STAGE(region, feed_inputs<RING, OUT, LANES>(x, conv, box, inputs));
    MOIETY_STAGE(region, feed_initial<RING, OUT, LANES>(c, bias, bias_kind, conv, box, initial));
    MOIETY_STAGE(region, multiply_tile<RING, OUT, LANES>(conv.depth(), box, weights, inputs, initial, product));
    MOIETY_STAGE(region, store_result<RING, OUT, LANES>(product, conv, box, y));
}

}  // namespace moiety
