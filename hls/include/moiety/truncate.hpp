// Truncation and ring extension without gross failures: the OR of the shares' top bits by one product of private bits
// (csrc/mpc/linear.hpp).
//
//     v = (y + offset) mod 2^(position + 1);  top = NOT bit `position` of v;  kept = (v >> shift) + back
//     S opens d = top_S ^ u, C opens e = top_C ^ v;  p q = A B uv + A e u + B d v + d e,  A = 1 - 2d, B = 1 - 2e
//     result = kept + (share of p q - one) 2^modulus
// truncate by s in a ring of l bits: offset 2^(l-2) at S, position l - 1, shift s, back 1 - 2^(l-2-s) at S, modulus l -
// s extend from k bits:                offset 2^(k-2) at S if signed, position k - 1, shift 0, back -offset, modulus k
//
// 64 elements make one word of the message, so `kept` holds more than that many before the second stage reads the
// first.
#pragma once

#include <moiety/types.hpp>

namespace moiety {

template <int RING>
struct Wrap {
    element<RING> offset, mask, back, one;
    int position, shift, modulus;
};

template <int RING>
Wrap<RING> truncation(int shift, bool server) {
    Wrap<RING> w;
    w.offset = server ? element<RING>(element<RING>(1) << (RING - 2)) : element<RING>(0);
    w.mask = element<RING>(~element<RING>(0));
    w.back = server ? element<RING>(1 - (element<RING>(1) << (RING - 2 - shift))) : element<RING>(0);
    w.one = server ? 1 : 0;
    w.position = RING - 1;
    w.shift = shift;
    w.modulus = RING - shift;
    return w;
}

template <int RING>
Wrap<RING> extension(int bits, bool is_signed, bool server) {
    Wrap<RING> w;
    w.offset = server && is_signed ? element<RING>(element<RING>(1) << (bits - 2)) : element<RING>(0);
    w.mask = element<RING>((element<RING>(1) << bits) - 1);
    w.back = element<RING>(0 - w.offset);
    w.one = server ? 1 : 0;
    w.position = bits - 1;
    w.shift = 0;
    w.modulus = bits;
    return w;
}

// The masked top bits of 64 elements and the own mask.
struct Opened {
    word bits, own;
};

template <int RING, int LANES>
void wrap_open(hls::stream<Beat<RING, LANES>>& y, hls::stream<word>& own, int n, Wrap<RING> wrap,
               hls::stream<word>& message, hls::stream<Opened>& opened, hls::stream<Beat<RING, LANES>>& kept) {
    word top = 0;
open:
    for (int i = 0; i < n; i += LANES) {
#pragma HLS PIPELINE II = 1
        const Beat<RING, LANES> beat = y.read();
        Beat<RING, LANES> out;
        for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
            const element<RING> v = element<RING>(beat.lane[l] + wrap.offset) & wrap.mask;
            const word bit = ~(v >> wrap.position) & 1;
            if (i + l < n) top |= word(bit << ((i + l) & 63));
            out.lane[l] = element<RING>((v >> wrap.shift) + wrap.back);
        }
        kept.write(out);
        if ((i & 63) + LANES >= 64 || i + LANES >= n) {
            Opened o;
            o.own = own.read();
            o.bits = top ^ o.own;
            message.write(o.bits);
            opened.write(o);
            top = 0;
        }
    }
}

template <int RING, int LANES>
void wrap_close(hls::stream<Opened>& opened, hls::stream<Beat<RING, LANES>>& kept,
                hls::stream<Beat<RING, LANES>>& product, hls::stream<word>& peer, int n, Wrap<RING> wrap, bool server,
                hls::stream<Beat<RING, LANES>>& result) {
    Opened o;
    word theirs = 0;
close:
    for (int i = 0; i < n; i += LANES) {
#pragma HLS PIPELINE II = 1
        if ((i & 63) == 0) {
            o = opened.read();
            theirs = peer.read();
        }
        const Beat<RING, LANES> k = kept.read(), uv = product.read();
        Beat<RING, LANES> out;
        for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
            const int at = (i + l) & 63;
            const bool mine = ((o.bits >> at) & 1) != 0, peers = ((theirs >> at) & 1) != 0;
            const bool own = ((o.own >> at) & 1) != 0;
            // S adds A e u + d e, C adds B d v: both are the peer's bit times the own mask, negated for an own bit.
            element<RING> share = mine != peers ? element<RING>(0 - uv.lane[l]) : uv.lane[l];
            if (peers && own) share = mine ? element<RING>(share - 1) : element<RING>(share + 1);
            if (server && mine && peers) share = element<RING>(share + 1);
            out.lane[l] = element<RING>(k.lane[l] + (element<RING>(share - wrap.one) << wrap.modulus));
        }
        result.write(out);
    }
}

template <int RING, int LANES>
void wrap_lanes(hls::stream<Beat<RING, LANES>>& y, hls::stream<word>& own, hls::stream<Beat<RING, LANES>>& product,
                hls::stream<word>& peer, int n, Wrap<RING> wrap, bool server, hls::stream<word>& message,
                hls::stream<Beat<RING, LANES>>& result) {
#pragma HLS DATAFLOW
    using Lanes = Beat<RING, LANES>;
    MOIETY_FIFO(Opened, opened, 16);
    MOIETY_FIFO(Lanes, kept, 512);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, wrap_open<RING, LANES>(y, own, n, wrap, message, opened, kept));
    MOIETY_STAGE(region, wrap_close<RING, LANES>(opened, kept, product, peer, n, wrap, server, result));
}

}  // namespace moiety
