#include <moiety/scheduler.hpp>

#include <moiety/scheduler_top.hpp>

int scheduler(bool offline, bool server, const moiety::word32* schedule, const moiety::word32* operations,
              const moiety::word* bits, moiety::element<MOIETY_RING>* memory, hls::stream<moiety::word>& to_peer,
              hls::stream<moiety::word>& from_peer, int* failed) {
#pragma HLS INTERFACE m_axi port = schedule bundle = tables
#pragma HLS INTERFACE m_axi port = operations bundle = tables
#pragma HLS INTERFACE m_axi port = bits bundle = correlations
#pragma HLS INTERFACE m_axi port = memory bundle = memory
#pragma HLS INTERFACE axis port = to_peer
#pragma HLS INTERFACE axis port = from_peer
#pragma HLS INTERFACE s_axilite port = offline
#pragma HLS INTERFACE s_axilite port = server
#pragma HLS INTERFACE s_axilite port = failed
#pragma HLS INTERFACE s_axilite port = return
    static moiety::TopBoard board;
    return moiety::run_board(offline, server, schedule, operations, bits, memory, board, to_peer, from_peer, *failed);
}
