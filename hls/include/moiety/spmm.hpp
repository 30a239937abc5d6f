// Products with a public sparse matrix, y = S x in the ring: what either party does with its share (csrc/ring/csr.hpp).
//
// x (channels, columns) and y (channels, rows) lie channel after channel, S in compressed rows. A block of LANES
// channels of x lies on the chip while the entries of S pass by, one a cycle: LANES multipliers take the entry's
// coefficient and, from LANES memories, its column's element of every channel. A row ends in its accumulators, from
// where it goes to the memories of the result. Both memories are double: the next block of x comes in and the last one
// of y goes out meanwhile. A block takes as many cycles as the longest of
//
//     steps                          entries, and one for every row that has none
//     LANES ceil(columns / LANES)    beats of LANES neighbours that come in
//     LANES ceil(rows / LANES)       that go out
//
// and the first one's x and the last one's y are in nobody's shadow. The pattern is public: it steers addresses.
#pragma once

#include <moiety/types.hpp>

namespace moiety {

// `steps`: entries plus rows without one. Not weighted: every coefficient is 1. At most NODES rows and columns.
struct Sparse {
    int rows, columns, steps;
    bool weighted;
};

// An entry, or (not `there`) the end of a row that has none; `last` of its row.
template <int RING>
struct Entry {
    ap_uint<32> column;
    element<RING> value;
    bool there, last;
};

template <int LANES>
constexpr int lines_of(int n) {
    return LANES * ((n + LANES - 1) / LANES);
}

// Blocks of LANES channels, each channel after channel, LANES neighbours a beat; zero beyond the last.
template <int RING, int LANES>
void feed_columns(const element<RING>* x, int columns, int channels, hls::stream<Beat<RING, LANES>>& out) {
    for (int channel = 0; channel < lines_of<LANES>(channels); ++channel)
        for (int first = 0; first < columns; first += LANES) {
#pragma HLS PIPELINE II = 1
            Beat<RING, LANES> beat;
            for (int i = 0; i < LANES; ++i) {
#pragma HLS UNROLL
                const bool inside = channel < channels && first + i < columns;
                beat.lane[i] = inside ? x[channel * columns + first + i] : element<RING>(0);
            }
            out.write(beat);
        }
}

// All entries, once a block. Index: what holds a pointer or an index.
template <int RING, int LANES, class Index>
void feed_entries(const Index* indptr, const Index* indices, const element<RING>* values, const Sparse& matrix,
                  int channels, hls::stream<Entry<RING>>& out) {
    for (int channel = 0; channel < channels; channel += LANES) {
        int row = 0, at = 0, end = indptr[1].to_int();
        for (int step = 0; step < matrix.steps; ++step) {
#pragma HLS PIPELINE II = 1
            Entry<RING> entry;
            entry.there = at < end;
            entry.column = entry.there ? ap_uint<32>(indices[at]) : ap_uint<32>(0);
            entry.value = entry.there && matrix.weighted ? values[at] : element<RING>(1);
            if (entry.there) ++at;
            entry.last = at == end;
            if (entry.last && ++row < matrix.rows) end = indptr[row + 1].to_int();
            out.write(entry);
        }
    }
}

// The multipliers. One beat of LANES channels for every row.
template <int RING, int LANES, int NODES>
void multiply_rows(const Sparse& matrix, int channels, hls::stream<Beat<RING, LANES>>& columns,
                   hls::stream<Entry<RING>>& entries, hls::stream<Beat<RING, LANES>>& results) {
    Beat<RING, LANES> held[2][LANES][(NODES + LANES - 1) / LANES];
#pragma HLS ARRAY_PARTITION variable = held complete dim = 1
#pragma HLS ARRAY_PARTITION variable = held complete dim = 2
    const int across = (matrix.columns + LANES - 1) / LANES, load = LANES * across;
    for (int lane = 0; lane < LANES; ++lane)
        for (int at = 0; at < across; ++at) {
#pragma HLS PIPELINE II = 1
            held[0][lane][at] = columns.read();
        }
    int half = 0;
    for (int channel = 0; channel < channels; channel += LANES) {
        const int coming = channel + LANES < channels ? load : 0;
        const int cycles = matrix.steps > coming ? matrix.steps : coming;
        Beat<RING, LANES> sum;
        for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
            sum.lane[l] = 0;
        }
        int lane = 0, place = 0;
        for (int step = 0; step < cycles; ++step) {
#pragma HLS PIPELINE II = 1
            if (step < coming) {
                held[1 - half][lane][place] = columns.read();
                if (++place == across) {
                    place = 0;
                    ++lane;
                }
            }
            if (step < matrix.steps) {
                const Entry<RING> entry = entries.read();
                const int column = entry.column.to_int();
                for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                    const element<RING> v = held[half][l][column / LANES].lane[column % LANES];
                    if (entry.there) sum.lane[l] = element<RING>(sum.lane[l] + times<RING>(entry.value, v));
                }
                if (entry.last) {
                    results.write(sum);
                    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                        sum.lane[l] = 0;
                    }
                }
            }
        }
        half = 1 - half;
    }
}

// Rows of LANES channels to channels of rows, LANES neighbours a beat: bank i holds the rows i mod LANES.
template <int RING, int LANES, int NODES>
void store_rows(hls::stream<Beat<RING, LANES>>& results, const Sparse& matrix, int channels, element<RING>* y) {
    element<RING> held[2][LANES][LANES][(NODES + LANES - 1) / LANES];
#pragma HLS ARRAY_PARTITION variable = held complete dim = 1
#pragma HLS ARRAY_PARTITION variable = held complete dim = 2
#pragma HLS ARRAY_PARTITION variable = held complete dim = 3
    const int across = (matrix.rows + LANES - 1) / LANES, load = LANES * across;
    int half = 0;
    for (int channel = 0; channel < channels + LANES; channel += LANES) {  // one block more, to store the last
        const int coming = channel < channels ? matrix.rows : 0, going = channel > 0 ? load : 0;
        const int cycles = coming > going ? coming : going;
        int lane = 0, place = 0;
        for (int step = 0; step < cycles; ++step) {
#pragma HLS PIPELINE II = 1
            if (step < coming) {
                const Beat<RING, LANES> row = results.read();
                for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
                    held[half][l][step % LANES][step / LANES] = row.lane[l];
                }
            }
            if (step < going) {
                const int above = channel - LANES + lane;
                for (int i = 0; i < LANES; ++i) {
#pragma HLS UNROLL
                    const int row = place * LANES + i;
                    if (above < channels && row < matrix.rows)
                        y[above * matrix.rows + row] = held[1 - half][lane][i][place];
                }
                if (++place == across) {
                    place = 0;
                    ++lane;
                }
            }
        }
        half = 1 - half;
        if (channel >= channels) break;
    }
}

// `channels` channels, from memory to memory.
template <int RING, int LANES, int NODES, class Index>
void sparse_product(const element<RING>* x, const Index* indptr, const Index* indices, const element<RING>* values,
                    const Sparse& matrix, int channels, element<RING>* y) {
#pragma HLS DATAFLOW
    using Lanes = Beat<RING, LANES>;
    using Each = Entry<RING>;
    MOIETY_FIFO(Lanes, columns, 64);
    MOIETY_FIFO(Each, entries, 64);
    MOIETY_FIFO(Lanes, results, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, feed_columns<RING, LANES>(x, matrix.columns, channels, columns));
    MOIETY_STAGE(region, feed_entries<RING, LANES, Index>(indptr, indices, values, matrix, channels, entries));
    MOIETY_STAGE(region, multiply_rows<RING, LANES, NODES>(matrix, channels, columns, entries, results));
    MOIETY_STAGE(region, store_rows<RING, LANES, NODES>(results, matrix, channels, y));
}

}  // namespace moiety
