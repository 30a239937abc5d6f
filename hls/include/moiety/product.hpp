// Cross terms u*v for u at S and v at C, and what is made of them (csrc/mpc/product.hpp).
//
// From a `cross` correlation (a at S, b at C, shares of a*b): S sends D = u - a, C sends E = v - b; then
// u v = (D + a) E + ab_S + D b + ab_C, the first two terms at S. One multiplication a party.
//     square: u = 2 x_S, v = x_C, and each party adds its own x^2
//     x2:     u = 2 c2 x_S + c1, v = x_C; S adds c2 (x_S^2 + Q) + c1 x_S + c0 + c_S for the opened Q = x_C^2 - B of a
//             server-held depthwise map, C adds c_C, which it knew before
// A stage masks what is sent and passes on what the second stage needs; that one waits for the peer. So a lane takes a
// new element every cycle however long the link is, if `sent` is as deep as the link's delay.
#pragma once

#include <moiety/types.hpp>

namespace moiety {

// This party's share of u*v from both opened values, own = a at S or b at C, and its share of a*b.
template <int RING>
element<RING> cross_share(bool server, element<RING> d, element<RING> e, element<RING> own, element<RING> ab) {
#pragma HLS INLINE
    const element<RING> left = server ? element<RING>(d + own) : d;
    const element<RING> right = server ? e : own;
    return element<RING>(times<RING>(left, right) + ab);
}

// What the masking stage passes on: the input, the mask, the masked value.
template <int RING, int LANES>
struct Sent {
    Beat<RING, LANES> x, own, opened;
};

template <int RING, int LANES>
void square_open(hls::stream<Beat<RING, LANES>>& x, hls::stream<Beat<RING, LANES>>& own, int beats, bool server,
                 hls::stream<Beat<RING, LANES>>& message, hls::stream<Sent<RING, LANES>>& sent) {
open:
    for (int i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II = 1
        Sent<RING, LANES> s;
        s.x = x.read();
        s.own = own.read();
        for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
            const element<RING> u = server ? element<RING>(s.x.lane[l] << 1) : s.x.lane[l];
            s.opened.lane[l] = element<RING>(u - s.own.lane[l]);
        }
        message.write(s.opened);
        sent.write(s);
    }
}

template <int RING, int LANES>
void square_close(hls::stream<Sent<RING, LANES>>& sent, hls::stream<Beat<RING, LANES>>& ab,
                  hls::stream<Beat<RING, LANES>>& peer, int beats, bool server,
                  hls::stream<Beat<RING, LANES>>& result) {
close:
    for (int i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II = 1
        const Sent<RING, LANES> s = sent.read();
        const Beat<RING, LANES> share = ab.read(), theirs = peer.read();
        Beat<RING, LANES> out;
        for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
            const element<RING> d = server ? s.opened.lane[l] : theirs.lane[l];
            const element<RING> e = server ? theirs.lane[l] : s.opened.lane[l];
            const element<RING> x = s.x.lane[l];
            out.lane[l] =
                element<RING>(times<RING>(x, x) + cross_share<RING>(server, d, e, s.own.lane[l], share.lane[l]));
        }
        result.write(out);
    }
}

// x^2: from the streams of one party's inputs, its half of the correlation and the peer's message.
template <int RING, int LANES>
void square_lanes(hls::stream<Beat<RING, LANES>>& x, hls::stream<Beat<RING, LANES>>& own,
                  hls::stream<Beat<RING, LANES>>& ab, hls::stream<Beat<RING, LANES>>& peer, int beats, bool server,
                  hls::stream<Beat<RING, LANES>>& message, hls::stream<Beat<RING, LANES>>& result) {
#pragma HLS DATAFLOW
    using Passed = Sent<RING, LANES>;
    MOIETY_FIFO(Passed, sent, 512);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, square_open<RING, LANES>(x, own, beats, server, message, sent));
    MOIETY_STAGE(region, square_close<RING, LANES>(sent, ab, peer, beats, server, result));
}

// The coefficients of one channel after another, as x2 walks over them.
template <int RING>
struct Quadratic {
    element<RING> c2, c1, c0;
};
constexpr int max_channels = 2048;

// Which channel each beat belongs to: a beat lies in one channel, so `inner` is a multiple of LANES.
struct ChannelWalk {
    int channel = 0, beat = 0;
    void next(int channels, int beats_a_channel) {
#pragma HLS INLINE
        if (++beat == beats_a_channel) {
            beat = 0;
            channel = channel + 1 == channels ? 0 : channel + 1;
        }
    }
};

template <int RING, int LANES>
void x2_open(hls::stream<Beat<RING, LANES>>& x, hls::stream<Beat<RING, LANES>>& own,
             hls::stream<Beat<RING, LANES>>& mask, const Quadratic<RING>* coefficients, int channels,
             int beats_a_channel, int beats, bool server, hls::stream<Beat<RING, LANES>>& message,
             hls::stream<Beat<RING, LANES>>& squares, hls::stream<Sent<RING, LANES>>& sent) {
    ChannelWalk at;
open:
    for (int i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II = 1
        const Quadratic<RING> c = coefficients[at.channel];
        Sent<RING, LANES> s;
        s.x = x.read();
        s.own = own.read();
        Beat<RING, LANES> square;
        if (!server) square = mask.read();
        for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
            const element<RING> v = s.x.lane[l];
            const element<RING> u = server ? element<RING>(times<RING>(c.c2 << 1, v) + c.c1) : v;
            s.opened.lane[l] = element<RING>(u - s.own.lane[l]);
            if (!server) square.lane[l] = element<RING>(times<RING>(v, v) - square.lane[l]);
        }
        message.write(s.opened);
        if (!server) squares.write(square);
        sent.write(s);
        at.next(channels, beats_a_channel);
    }
}

template <int RING, int LANES>
void x2_close(hls::stream<Sent<RING, LANES>>& sent, hls::stream<Beat<RING, LANES>>& ab,
              hls::stream<Beat<RING, LANES>>& linear, hls::stream<Beat<RING, LANES>>& peer,
              hls::stream<Beat<RING, LANES>>& peer_squares, const Quadratic<RING>* coefficients, int channels,
              int beats_a_channel, int beats, bool server, hls::stream<Beat<RING, LANES>>& result) {
    ChannelWalk at;
close:
    for (int i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II = 1
        const Quadratic<RING> c = coefficients[at.channel];
        const Sent<RING, LANES> s = sent.read();
        const Beat<RING, LANES> share = ab.read(), theirs = peer.read(), known = linear.read();
        Beat<RING, LANES> q, out;
        if (server) q = peer_squares.read();
        for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
            const element<RING> d = server ? s.opened.lane[l] : theirs.lane[l];
            const element<RING> e = server ? theirs.lane[l] : s.opened.lane[l];
            const element<RING> x = s.x.lane[l];
            const element<RING> cross = cross_share<RING>(server, d, e, s.own.lane[l], share.lane[l]);
            const element<RING> own =
                server ? element<RING>(times<RING>(c.c2, times<RING>(x, x) + q.lane[l]) + times<RING>(c.c1, x) + c.c0)
                       : element<RING>(0);
            out.lane[l] = element<RING>(own + known.lane[l] + cross);
        }
        result.write(out);
        at.next(channels, beats_a_channel);
    }
}

// c2 x^2 + c1 x + c0 by channel. `mask` (B) and `squares` are used by C, `peer_squares` and the coefficients by S.
template <int RING, int LANES>
void x2_lanes(hls::stream<Beat<RING, LANES>>& x, hls::stream<Beat<RING, LANES>>& own,
              hls::stream<Beat<RING, LANES>>& ab, hls::stream<Beat<RING, LANES>>& mask,
              hls::stream<Beat<RING, LANES>>& linear, hls::stream<Beat<RING, LANES>>& peer,
              hls::stream<Beat<RING, LANES>>& peer_squares, const Quadratic<RING>* open_coefficients,
              const Quadratic<RING>* close_coefficients, int channels, int beats_a_channel, int beats, bool server,
              hls::stream<Beat<RING, LANES>>& message, hls::stream<Beat<RING, LANES>>& squares,
              hls::stream<Beat<RING, LANES>>& result) {
#pragma HLS DATAFLOW
    using Passed = Sent<RING, LANES>;
    MOIETY_FIFO(Passed, sent, 512);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, x2_open<RING, LANES>(x, own, mask, open_coefficients, channels, beats_a_channel, beats, server,
                                              message, squares, sent));
    MOIETY_STAGE(region, x2_close<RING, LANES>(sent, ab, linear, peer, peer_squares, close_coefficients, channels,
                                               beats_a_channel, beats, server, result));
}

}  // namespace moiety
