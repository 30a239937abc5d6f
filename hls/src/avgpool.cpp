#include <moiety/tops.hpp>

void avgpool(const Element* x, moiety::Pool pool, int first, int planes, Element* y) {
#pragma HLS INTERFACE m_axi port = x bundle = inputs
#pragma HLS INTERFACE m_axi port = y bundle = outputs
#pragma HLS INTERFACE s_axilite port = pool
#pragma HLS INTERFACE s_axilite port = first
#pragma HLS INTERFACE s_axilite port = planes
#pragma HLS INTERFACE s_axilite port = return
    moiety::sum_windows<MOIETY_RING>(x, pool, first, planes, 0, pool.out[0] * pool.out[1], y);
}
