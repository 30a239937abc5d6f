// The tops of src/, at the ring and lanes of the command line. Streams are AXI streams, pointers memory (m_axi).
#pragma once

#include <moiety/linear.hpp>
#include <moiety/ot.hpp>
#include <moiety/pool.hpp>
#include <moiety/product.hpp>
#include <moiety/spmm.hpp>
#include <moiety/truncate.hpp>

using Element = moiety::element<MOIETY_RING>;
using Lanes = moiety::Beat<MOIETY_RING, MOIETY_LANES>;
using Coefficients = moiety::Quadratic<MOIETY_RING>;

extern "C" {

// y = c + conv(x, w) (+ bias) on one box of the output: the server's product, or the client's offline one.
void linear_tile(const Element* x, const Element* w, const Element* c, const Element* bias, int bias_kind,
                 moiety::Conv conv, moiety::Box box, Element* y);

// x^2, from a `cross` correlation (own: a or b; ab: share of a b).
void square(hls::stream<Lanes>& x, hls::stream<Lanes>& own, hls::stream<Lanes>& ab, hls::stream<Lanes>& peer, int beats,
            bool server, hls::stream<Lanes>& message, hls::stream<Lanes>& result);

// c2 x^2 + c1 x + c0 by channel; S alone reads coefficients and peer_squares, C alone mask and writes squares.
void x2act(hls::stream<Lanes>& x, hls::stream<Lanes>& own, hls::stream<Lanes>& ab, hls::stream<Lanes>& mask,
           hls::stream<Lanes>& linear, hls::stream<Lanes>& peer, hls::stream<Lanes>& peer_squares,
           const Coefficients* coefficients, int channels, int beats_a_channel, int beats, bool server,
           hls::stream<Lanes>& message, hls::stream<Lanes>& squares, hls::stream<Lanes>& result);

// bits 0: the exact truncation by `shift`; else the extension from `bits` bits. own: masks of the top bits.
void truncate(hls::stream<Lanes>& y, hls::stream<moiety::word>& own, hls::stream<Lanes>& product,
              hls::stream<moiety::word>& peer, int n, int shift, int bits, bool is_signed, bool server,
              hls::stream<moiety::word>& message, hls::stream<Lanes>& result);

// Shares of b = [y >= 0] for one tile of n <= 4096 elements. material: own input masks, wires' masks, products.
void compare(hls::stream<Element>& y, hls::stream<moiety::word>& material, hls::stream<Element>& beta,
             hls::stream<moiety::word>& peer, int n, int bits, bool server, hls::stream<moiety::word>& message,
             hls::stream<Element>& result);

// Shares of max(y, 0). delta, and behind it delta, beta, beta*delta of each element in `select`.
void relu(hls::stream<Element>& y, hls::stream<moiety::word>& material, hls::stream<Element>& delta,
          hls::stream<Element>& select, hls::stream<moiety::word>& peer, int n, int bits, bool server,
          hls::stream<moiety::word>& message, hls::stream<Element>& result);

// Elements first..first+count-1 (count <= 4096) of one level of a tournament: winners[i] = max of a pair.
void maxpool(const Element* rows, const ap_uint<32>* pairs, int first, int count, int row,
             hls::stream<moiety::word>& material, hls::stream<Element>& delta, hls::stream<Element>& select,
             hls::stream<moiety::word>& peer, int bits, bool server, hls::stream<moiety::word>& message,
             Element* winners);

// Sums over windows of the planes first..first+planes-1; a public factor and a truncation make them averages.
void avgpool(const Element* x, moiety::Pool pool, int first, int planes, Element* y);

// y = S x on `channels` channels, S a public sparse matrix in compressed rows (values unread where it has no weights).
void spmm(const Element* x, const ap_uint<32>* indptr, const ap_uint<32>* indices, const Element* values,
          moiety::Sparse matrix, int channels, Element* y);

// Blocks first..first+count-1 of the generator's stream (key, nonce).
void aes_prg(moiety::block key, moiety::word nonce, moiety::word first, int count, hls::stream<moiety::block>& out);

// Bit products from 1-of-2 correlated OT; corrections go from the sender to the receiver.
void ot_pad(hls::stream<moiety::block>& rows, moiety::block delta, moiety::word first_tweak,
            hls::stream<moiety::word>& inputs, hls::stream<moiety::word>& peer, int n, int bits, bool sender,
            hls::stream<moiety::word>& message, hls::stream<moiety::word>& share);
}
