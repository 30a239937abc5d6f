#include <moiety/tops.hpp>

void x2act(hls::stream<Lanes>& x, hls::stream<Lanes>& own, hls::stream<Lanes>& ab, hls::stream<Lanes>& mask,
           hls::stream<Lanes>& linear, hls::stream<Lanes>& peer, hls::stream<Lanes>& peer_squares,
           const Coefficients* coefficients, int channels, int beats_a_channel, int beats, bool server,
           hls::stream<Lanes>& message, hls::stream<Lanes>& squares, hls::stream<Lanes>& result) {
#pragma HLS INTERFACE axis port = x
#pragma HLS INTERFACE axis port = own
#pragma HLS INTERFACE axis port = ab
#pragma HLS INTERFACE axis port = mask
#pragma HLS INTERFACE axis port = linear
#pragma HLS INTERFACE axis port = peer
#pragma HLS INTERFACE axis port = peer_squares
#pragma HLS INTERFACE m_axi port = coefficients
#pragma HLS INTERFACE axis port = message
#pragma HLS INTERFACE axis port = squares
#pragma HLS INTERFACE axis port = result
#pragma HLS INTERFACE s_axilite port = channels
#pragma HLS INTERFACE s_axilite port = beats_a_channel
#pragma HLS INTERFACE s_axilite port = beats
#pragma HLS INTERFACE s_axilite port = server
#pragma HLS INTERFACE s_axilite port = return
    // One copy for each of the two stages.
    static Coefficients open[moiety::max_channels], close[moiety::max_channels];
    for (int i = 0; server && i < channels; ++i) {
#pragma HLS PIPELINE II = 1
        open[i] = close[i] = coefficients[i];
    }
    moiety::x2_lanes<MOIETY_RING, MOIETY_LANES>(x, own, ab, mask, linear, peer, peer_squares, open, close, channels,
                                                beats_a_channel, beats, server, message, squares, result);
}
