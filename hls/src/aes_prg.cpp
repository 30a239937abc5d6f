#include <moiety/tops.hpp>

void aes_prg(moiety::block key, moiety::word nonce, moiety::word first, int count, hls::stream<moiety::block>& out) {
#pragma HLS INTERFACE s_axilite port = key
#pragma HLS INTERFACE s_axilite port = nonce
#pragma HLS INTERFACE s_axilite port = first
#pragma HLS INTERFACE s_axilite port = count
#pragma HLS INTERFACE axis port = out
#pragma HLS INTERFACE s_axilite port = return
    const moiety::AesKey round_keys = moiety::aes_key(key);
    const moiety::block high = moiety::block(moiety::block(nonce) << 64);
blocks:
    for (int i = 0; i < count; ++i) {
#pragma HLS PIPELINE II = 1
        out.write(moiety::aes_encrypt(round_keys, moiety::block(high | moiety::word(first + i))));
    }
}
