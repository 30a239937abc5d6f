// b = [y >= 0] and b * y for |y| < 2^(k-1) shared mod 2^k, one tile of up to 4096 elements (csrc/mpc/compare.hpp).
//
// Steps, one a hop; between them a Tile keeps what is needed (it lies in block RAM, 230 KB at 64 bits):
//     0        own bits ^ their masks, plane after plane; with an operand the packed Delta = y + delta behind them
//     1..L     the prefix levels (circuit.hpp)
//     L + 1    db = b ^ beta is open: b y = db (dx - delta) + (1 - 2 db) (beta dx - beta delta), or b itself
#pragma once

#include <moiety/circuit.hpp>

namespace moiety {

template <int RING>
struct Tile {
    CircuitShape shape;
    int n, words, bits;
    element<RING> y[tile_elements], dx[tile_elements];
    word sign[tile_words];
    Planes planes;
};

// Elements to the message's bytes: the low `width` bytes of each, without gaps; the last word padded with zeros.
inline word low_bytes(word x, int width) { return x & word(word(~word(0)) >> (64 - 8 * width)); }
struct Packer {
    ap_uint<128> held = 0;
    int bytes = 0;
    void put(word x, int width, hls::stream<word>& out) {
#pragma HLS INLINE
        held |= ap_uint<128>(ap_uint<128>(low_bytes(x, width)) << (8 * bytes));
        bytes += width;
        if (bytes >= 8) {
            out.write(word(held));
            held = held >> 64;
            bytes -= 8;
        }
    }
    void flush(hls::stream<word>& out) {
        if (bytes > 0) out.write(word(held));
    }
};
struct Unpacker {
    ap_uint<128> held = 0;
    int bytes = 0;
    word get(int width, hls::stream<word>& in) {
#pragma HLS INLINE
        if (bytes < width) {
            held |= ap_uint<128>(ap_uint<128>(in.read()) << (8 * bytes));
            bytes += 8;
        }
        const word x = low_bytes(word(held), width);
        held = held >> (8 * width);
        bytes -= width;
        return x;
    }
};

// The low `count` bits of n elements as planes, 64 elements at a time.
template <int RING>
void to_planes(const element<RING>* x, int n, int count, word (*planes)[tile_words]) {
word_loop:
    for (int w = 0; w < words_of(n); ++w) {
        word column[max_positions + 1] = {};
#pragma HLS ARRAY_PARTITION variable = column complete
    bit_loop:
        for (int i = 0; i < 64; ++i) {
#pragma HLS PIPELINE II = 1
            const element<RING> v = 64 * w + i < n ? x[64 * w + i] : element<RING>(0);
            for (int j = 0; j < RING && j <= max_positions; ++j) {
#pragma HLS UNROLL
                column[j] = word((column[j] >> 1) | (word((v >> j) & 1) << 63));
            }
        }
        for (int j = 0; j < count; ++j) planes[j][w] = column[j];
    }
}

// Step 0. `material`: own input masks, then the wires' masks (kept). `delta` is read where there is an operand.
template <int RING>
void compare_open(Tile<RING>& tile, int n, int bits, bool operand, hls::stream<element<RING>>& y,
                  hls::stream<word>& material, hls::stream<element<RING>>& delta, hls::stream<word>& message) {
    tile.shape = circuit_shape(bits);
    tile.n = n;
    tile.words = words_of(n);
    tile.bits = bits;
    for (int i = 0; i < n; ++i) {
#pragma HLS PIPELINE II = 1
        tile.y[i] = y.read();
    }
    word plane[max_positions + 1][tile_words];
    to_planes<RING>(tile.y, n, bits, plane);
    for (int w = 0; w < tile.words; ++w) tile.sign[w] = plane[bits - 1][w];
    for (int j = 0; j < tile.shape.positions; ++j)
        for (int w = 0; w < tile.words; ++w) {
#pragma HLS PIPELINE II = 1
            tile.planes.own[j][w] = material.read();
            // Under the name of the party that holds the input; the other one's comes with the message.
            tile.planes.a[j][w] = plane[j][w] ^ tile.planes.own[j][w];
            message.write(tile.planes.a[j][w]);
        }
    for (int j = 0; j < tile.shape.wires; ++j)
        for (int w = 0; w < tile.words; ++w) {
#pragma HLS PIPELINE II = 1
            tile.planes.mask[j][w] = material.read();
        }
    if (!operand) return;
    Packer packer;
    for (int i = 0; i < n; ++i) {
#pragma HLS PIPELINE II = 1
        tile.dx[i] = element<RING>(tile.y[i] + delta.read());
        packer.put(tile.dx[i], packed_bytes(bits), message);
    }
    packer.flush(message);
}

// Step `level` + 1: the peer's message of the hop before, then one prefix level. `material`: the level's products.
template <int RING>
void compare_level(Tile<RING>& tile, int level, bool server, bool operand, hls::stream<word>& peer,
                   hls::stream<word>& material, hls::stream<word>& message) {
    if (level == 0) {
        for (int j = 0; j < tile.shape.positions; ++j)
            for (int w = 0; w < tile.words; ++w) {
#pragma HLS PIPELINE II = 1
                const word mine = tile.planes.a[j][w], theirs = peer.read();
                tile.planes.a[j][w] = server ? mine : theirs;
                tile.planes.b[j][w] = server ? theirs : mine;
            }
        if (operand) {
            Unpacker unpacker;
            for (int i = 0; i < tile.n; ++i) {
#pragma HLS PIPELINE II = 1
                tile.dx[i] = element<RING>(tile.dx[i] + element<RING>(unpacker.get(packed_bytes(tile.bits), peer)));
            }
        }
    } else {
        take_level(tile.shape, level - 1, tile.words, tile.planes, peer);
    }
    evaluate_level(tile.shape, level, tile.words, server, tile.planes, tile.sign, material, message);
}

// The last step. `select`: delta, beta and beta*delta of each element; without an operand beta alone, and the result is
// a share of b itself.
template <int RING>
void compare_close(Tile<RING>& tile, bool server, bool operand, hls::stream<word>& peer,
                   hls::stream<element<RING>>& select, hls::stream<element<RING>>& result) {
    take_level(tile.shape, tile.shape.levels - 1, tile.words, tile.planes, peer);
    for (int i = 0; i < tile.n; ++i) {
#pragma HLS PIPELINE II = 1
        const bool db = ((tile.planes.value[tile.shape.carry()][i / 64] >> (i & 63)) & 1) != 0;
        const element<RING> delta = operand ? select.read() : element<RING>(0);
        const element<RING> beta = select.read();
        if (operand) {
            const element<RING> dx = tile.dx[i];
            const element<RING> masked = element<RING>(times<RING>(dx, beta) - select.read());
            const element<RING> open = element<RING>((server ? dx : element<RING>(0)) - delta);
            result.write(db ? element<RING>(open - masked) : masked);
        } else {
            result.write(db ? element<RING>((server ? 1 : 0) - beta) : beta);
        }
    }
}

// All steps of one tile, for a peer whose messages come in one stream.
template <int RING>
void compare_steps(Tile<RING>& tile, int n, int bits, bool server, bool operand, hls::stream<element<RING>>& y,
                   hls::stream<word>& material, hls::stream<element<RING>>& delta, hls::stream<element<RING>>& select,
                   hls::stream<word>& peer, hls::stream<word>& message, hls::stream<element<RING>>& result) {
    compare_open<RING>(tile, n, bits, operand, y, material, delta, message);
    for (int level = 0; level < tile.shape.levels; ++level)
        compare_level<RING>(tile, level, server, operand, peer, material, message);
    compare_close<RING>(tile, server, operand, peer, select, result);
}

}  // namespace moiety
