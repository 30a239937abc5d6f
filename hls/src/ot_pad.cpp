#include <moiety/tops.hpp>

void ot_pad(hls::stream<moiety::block>& rows, moiety::block delta, moiety::word first_tweak,
            hls::stream<moiety::word>& inputs, hls::stream<moiety::word>& peer, int n, int bits, bool sender,
            hls::stream<moiety::word>& message, hls::stream<moiety::word>& share) {
#pragma HLS INTERFACE axis port = rows
#pragma HLS INTERFACE axis port = inputs
#pragma HLS INTERFACE axis port = peer
#pragma HLS INTERFACE axis port = message
#pragma HLS INTERFACE axis port = share
#pragma HLS INTERFACE s_axilite port = delta
#pragma HLS INTERFACE s_axilite port = first_tweak
#pragma HLS INTERFACE s_axilite port = n
#pragma HLS INTERFACE s_axilite port = bits
#pragma HLS INTERFACE s_axilite port = sender
#pragma HLS INTERFACE s_axilite port = return
    if (sender)
        moiety::ot_sender(rows, delta, first_tweak, inputs, n, bits, message, share);
    else
        moiety::ot_receiver(rows, first_tweak, inputs, peer, n, bits, share);
}
