#include <moiety/tops.hpp>

void compare(hls::stream<Element>& y, hls::stream<moiety::word>& material, hls::stream<Element>& beta,
             hls::stream<moiety::word>& peer, int n, int bits, bool server, hls::stream<moiety::word>& message,
             hls::stream<Element>& result) {
#pragma HLS INTERFACE axis port = y
#pragma HLS INTERFACE axis port = material
#pragma HLS INTERFACE axis port = beta
#pragma HLS INTERFACE axis port = peer
#pragma HLS INTERFACE axis port = message
#pragma HLS INTERFACE axis port = result
#pragma HLS INTERFACE s_axilite port = n
#pragma HLS INTERFACE s_axilite port = bits
#pragma HLS INTERFACE s_axilite port = server
#pragma HLS INTERFACE s_axilite port = return
    static moiety::Tile<MOIETY_RING> tile;
    moiety::compare_steps<MOIETY_RING>(tile, n, bits, server, false, y, material, beta, beta, peer, message, result);
}
