#include <moiety/tops.hpp>

// Multipliers: MOIETY_OUT output channels by MOIETY_LANES positions.
#ifndef MOIETY_OUT
#define MOIETY_OUT 8
#endif

void linear_tile(const Element* x, const Element* w, const Element* c, const Element* bias, int bias_kind,
                 moiety::Conv conv, moiety::Box box, Element* y) {
#pragma HLS INTERFACE m_axi port = x bundle = inputs
#pragma HLS INTERFACE m_axi port = w bundle = weights
#pragma HLS INTERFACE m_axi port = c bundle = correlations
#pragma HLS INTERFACE m_axi port = bias bundle = weights
#pragma HLS INTERFACE m_axi port = y bundle = outputs
#pragma HLS INTERFACE s_axilite port = bias_kind
#pragma HLS INTERFACE s_axilite port = conv
#pragma HLS INTERFACE s_axilite port = box
#pragma HLS INTERFACE s_axilite port = return
    moiety::linear_box<MOIETY_RING, MOIETY_OUT, MOIETY_LANES>(x, w, c, bias, bias_kind, conv, box, y);
}
