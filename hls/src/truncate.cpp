#include <moiety/tops.hpp>

void truncate(hls::stream<Lanes>& y, hls::stream<moiety::word>& own, hls::stream<Lanes>& product,
              hls::stream<moiety::word>& peer, int n, int shift, int bits, bool is_signed, bool server,
              hls::stream<moiety::word>& message, hls::stream<Lanes>& result) {
#pragma HLS INTERFACE axis port = y
#pragma HLS INTERFACE axis port = own
#pragma HLS INTERFACE axis port = product
#pragma HLS INTERFACE axis port = peer
#pragma HLS INTERFACE axis port = message
#pragma HLS INTERFACE axis port = result
#pragma HLS INTERFACE s_axilite port = n
#pragma HLS INTERFACE s_axilite port = shift
#pragma HLS INTERFACE s_axilite port = bits
#pragma HLS INTERFACE s_axilite port = is_signed
#pragma HLS INTERFACE s_axilite port = server
#pragma HLS INTERFACE s_axilite port = return
    const moiety::Wrap<MOIETY_RING> wrap = bits == 0 ? moiety::truncation<MOIETY_RING>(shift, server)
                                                     : moiety::extension<MOIETY_RING>(bits, is_signed, server);
    moiety::wrap_lanes<MOIETY_RING, MOIETY_LANES>(y, own, product, peer, n, wrap, server, message, result);
}
