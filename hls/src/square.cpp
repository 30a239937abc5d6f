#include <moiety/tops.hpp>

void square(hls::stream<Lanes>& x, hls::stream<Lanes>& own, hls::stream<Lanes>& ab, hls::stream<Lanes>& peer, int beats,
            bool server, hls::stream<Lanes>& message, hls::stream<Lanes>& result) {
#pragma HLS INTERFACE axis port = x
#pragma HLS INTERFACE axis port = own
#pragma HLS INTERFACE axis port = ab
#pragma HLS INTERFACE axis port = peer
#pragma HLS INTERFACE axis port = message
#pragma HLS INTERFACE axis port = result
#pragma HLS INTERFACE s_axilite port = beats
#pragma HLS INTERFACE s_axilite port = server
#pragma HLS INTERFACE s_axilite port = return
    moiety::square_lanes<MOIETY_RING, MOIETY_LANES>(x, own, ab, peer, beats, server, message, result);
}
