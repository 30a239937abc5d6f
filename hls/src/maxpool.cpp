#include <moiety/tops.hpp>

void maxpool(const Element* rows, const ap_uint<32>* pairs, int first, int count, int row,
             hls::stream<moiety::word>& material, hls::stream<Element>& delta, hls::stream<Element>& select,
             hls::stream<moiety::word>& peer, int bits, bool server, hls::stream<moiety::word>& message,
             Element* winners) {
#pragma HLS INTERFACE m_axi port = rows bundle = rows
#pragma HLS INTERFACE m_axi port = pairs bundle = pairs
#pragma HLS INTERFACE axis port = material
#pragma HLS INTERFACE axis port = delta
#pragma HLS INTERFACE axis port = select
#pragma HLS INTERFACE axis port = peer
#pragma HLS INTERFACE axis port = message
#pragma HLS INTERFACE m_axi port = winners bundle = winners
#pragma HLS INTERFACE s_axilite port = first
#pragma HLS INTERFACE s_axilite port = count
#pragma HLS INTERFACE s_axilite port = row
#pragma HLS INTERFACE s_axilite port = bits
#pragma HLS INTERFACE s_axilite port = server
#pragma HLS INTERFACE s_axilite port = return
#pragma HLS DATAFLOW
    static moiety::Tile<MOIETY_RING> tile;
    MOIETY_FIFO(Element, difference, 64);
    MOIETY_FIFO(Element, right, 4096);  // the whole tile waits here for its comparison
    MOIETY_FIFO(Element, larger, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, moiety::meet<MOIETY_RING>(rows, pairs, first, count, row, difference, right));
    MOIETY_STAGE(region, moiety::compare_steps<MOIETY_RING>(tile, count, bits, server, true, difference, material,
                                                            delta, select, peer, message, larger));
    MOIETY_STAGE(region, moiety::settle<MOIETY_RING>(larger, right, count, winners));
}
