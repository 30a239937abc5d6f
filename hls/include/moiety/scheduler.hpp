// One board's half of an inference: executes a static schedule over the other kernels' stages.
//
// Instructions are taken from front to back, each to its end, a transfer as send or receive: the order that isa.py
// calls correct too. What a schedule promises is checked on the way (inputs there before they are read, slots that
// exist, messages that fit), not how long it takes: the cycle model prices the overlap. A comparison keeps its planes
// in a context on the chip from its first step to its last.
//
// memory: ring elements, all tensors' shares, weights, biases and correlations, laid out by image.py. bits:
// correlations of single bits, a tile's together. At the client the storage of an opened tensor holds its mask B, and
// that of a layer's output what the client computes offline (`offline_products`).
#pragma once

#include <moiety/isa.hpp>
#include <moiety/product.hpp>
#include <moiety/truncate.hpp>

namespace moiety {

template <int RING, int SLOTS, int SLOT_WORDS, int CONTEXTS>
struct Board {
    word send[SLOTS][SLOT_WORDS], receive[SLOTS][SLOT_WORDS];
    Tile<RING> context[CONTEXTS];
    int context_op[CONTEXTS], context_tile[CONTEXTS];  // whose they are; op -1: free

    int find(int op, int tile) const {
        for (int i = 0; i < CONTEXTS; ++i)
            if (context_op[i] == op && (op < 0 || context_tile[i] == tile)) return i;
        return -1;
    }
};

// A tile's elements: runs of one channel's rows, in the order of (channel, row, column).
struct Elements {
    int first, run, channels, plane;  // element (c, i) is first + c * plane + i
    int count() const { return run * channels; }
};
inline Elements elements_of(const Operation& op, const Instruction& i) {
    const int plane = op.shape[1] * op.shape[2];
    return {i.channel * plane + i.row * op.shape[2], i.rows * op.shape[2], i.channels, plane};
}

// A tile's elements as beats and back, and one by one: `parts` neighbours at every * element.
template <int RING, int LANES>
void gather(const element<RING>* memory, Elements tile, hls::stream<Beat<RING, LANES>>& out) {
    Beat<RING, LANES> beat = {};
    int held = 0;
    for (int c = 0; c < tile.channels; ++c)
        for (int i = 0; i < tile.run; ++i) {
#pragma HLS PIPELINE II = 1
            beat.lane[held] = memory[tile.first + c * tile.plane + i];
            if (++held == LANES || (c + 1 == tile.channels && i + 1 == tile.run)) {
                out.write(beat);
                held = 0;
            }
        }
}
template <int RING, int LANES>
void scatter(hls::stream<Beat<RING, LANES>>& in, Elements tile, element<RING>* memory) {
    Beat<RING, LANES> beat = {};
    int held = LANES;
    for (int c = 0; c < tile.channels; ++c)
        for (int i = 0; i < tile.run; ++i) {
#pragma HLS PIPELINE II = 1
            if (held == LANES) {
                beat = in.read();
                held = 0;
            }
            memory[tile.first + c * tile.plane + i] = beat.lane[held++];
        }
}
template <int RING>
void gather_parts(const element<RING>* memory, Elements tile, int every, int parts, hls::stream<element<RING>>& out) {
    for (int c = 0; c < tile.channels; ++c)
        for (int i = 0; i < tile.run; ++i)
            for (int part = 0; part < parts; ++part) {
#pragma HLS PIPELINE II = 1
                out.write(memory[(tile.first + c * tile.plane + i) * every + part]);
            }
}
template <int RING>
void scatter_each(hls::stream<element<RING>>& in, Elements tile, element<RING>* memory) {
    for (int c = 0; c < tile.channels; ++c)
        for (int i = 0; i < tile.run; ++i) {
#pragma HLS PIPELINE II = 1
            memory[tile.first + c * tile.plane + i] = in.read();
        }
}

// Beats of n elements to and from the words of a message, `width` bytes an element.
template <int RING, int LANES>
void pack(hls::stream<Beat<RING, LANES>>& in, int n, int width, hls::stream<word>& out) {
    Packer packer;
    for (int i = 0; i < n; i += LANES) {
        const Beat<RING, LANES> beat = in.read();
        for (int l = 0; l < LANES && i + l < n; ++l) {
#pragma HLS PIPELINE II = 1
            packer.put(beat.lane[l], width, out);
        }
    }
    packer.flush(out);
}
template <int RING, int LANES>
void unpack(hls::stream<word>& in, int n, int width, hls::stream<Beat<RING, LANES>>& out) {
    Unpacker unpacker;
    for (int i = 0; i < n; i += LANES) {
        Beat<RING, LANES> beat = {};
        for (int l = 0; l < LANES && i + l < n; ++l) {
#pragma HLS PIPELINE II = 1
            beat.lane[l] = element<RING>(unpacker.get(width, in));
        }
        out.write(beat);
    }
}

// Takes away what the other step of a pair of stages needs.
template <class T>
void drop(hls::stream<T>& in, int count) {
    for (int i = 0; i < count; ++i) in.read();
}

// Local operations on one tile, element by element.
template <int RING>
void move_tile(const Operation& op, int kind, Elements tile, bool server, element<RING>* memory) {
    const element<RING>* x = memory + op.at_x;
    element<RING>* y = memory + op.at_y;
    for (int c = 0; c < tile.channels; ++c)
        for (int i = 0; i < tile.run; ++i) {
#pragma HLS PIPELINE II = 1
            const int e = tile.first + c * tile.plane + i;
            const element<RING> v = x[e];
            switch (kind) {
                case kind_shift: y[e] = element<RING>((v >> op.shift) + (server ? 1 : 0)); break;
                case kind_shift_left: y[e] = element<RING>(v << op.shift); break;
                case kind_scale: y[e] = times<RING>(v, element<RING>(op.factor)); break;
                case kind_add: y[e] = element<RING>(v + memory[op.at_x1 + e]); break;
                case kind_subtract: y[e] = element<RING>(v - memory[op.at_x1 + e]); break;
                default:  // add_constant
                    y[e] = server ? element<RING>(
                                        v + memory[op.at_c + (op.bias_kind == bias_by_channel ? e / tile.plane : e)])
                                  : v;
            }
        }
}

// Openings and the output. Step 0, at the party that sends: x - B, where y holds B, or the low bits of the server's
// share, which hide what lies above the output's. Step 1, at the other: the sum.
template <int RING>
void share_out(const Operation& op, Elements tile, element<RING>* memory, hls::stream<word>& message) {
    const element<RING> low = element<RING>(word(~word(0)) >> (64 - op.bits));
    Packer packer;
    for (int c = 0; c < tile.channels; ++c)
        for (int i = 0; i < tile.run; ++i) {
#pragma HLS PIPELINE II = 1
            const int e = tile.first + c * tile.plane + i;
            const element<RING> x = memory[op.at_x + e], y = memory[op.at_y + e];
            const element<RING> v = op.kind == kind_open ? element<RING>(x - y) : element<RING>(x & low);
            packer.put(v, packed_bytes(op.bits), message);
            if (op.kind == kind_output) memory[op.at_y + e] = v;
        }
    packer.flush(message);
}
template <int RING>
void share_in(const Operation& op, Elements tile, hls::stream<word>& message, element<RING>* memory) {
    const element<RING> low = element<RING>(word(~word(0)) >> (64 - op.bits));
    Unpacker unpacker;
    for (int c = 0; c < tile.channels; ++c)
        for (int i = 0; i < tile.run; ++i) {
#pragma HLS PIPELINE II = 1
            const int e = tile.first + c * tile.plane + i;
            const element<RING> v = element<RING>(unpacker.get(packed_bytes(op.bits), message));
            memory[op.at_y + e] = element<RING>(memory[op.at_x + e] + v) & low;
        }
}

// Every step is a region of its own, so that each is a plain chain of calls. `send` and `receive` are slots.
template <int RING>
void open_send(const Operation& op, Elements tile, element<RING>* memory, word* send) {
#pragma HLS DATAFLOW
    MOIETY_FIFO(word, message, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, share_out<RING>(op, tile, memory, message));
    MOIETY_STAGE(region, write_all<word>(message, packed_words(tile.count(), op.bits), send));
}
template <int RING>
void open_receive(const Operation& op, Elements tile, const word* receive, element<RING>* memory) {
#pragma HLS DATAFLOW
    MOIETY_FIFO(word, message, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, read_all<word>(receive, packed_words(tile.count(), op.bits), message));
    MOIETY_STAGE(region, share_in<RING>(op, tile, message, memory));
}

template <int RING, int LANES>
void square_send(const Operation& op, Elements tile, bool server, const element<RING>* memory, word* send) {
#pragma HLS DATAFLOW
    using Lanes = Beat<RING, LANES>;
    using Passed = Sent<RING, LANES>;
    const int n = tile.count(), beats = beats_of<LANES>(n);
    MOIETY_FIFO(Lanes, x, 64);
    MOIETY_FIFO(Lanes, own, 64);
    MOIETY_FIFO(Lanes, mine, 64);
    MOIETY_FIFO(Passed, sent, 64);
    MOIETY_FIFO(word, message, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_x, tile, x));
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_own, tile, own));
    MOIETY_STAGE(region, square_open<RING, LANES>(x, own, beats, server, mine, sent));
    MOIETY_STAGE(region, drop<Passed>(sent, beats));
    MOIETY_STAGE(region, pack<RING, LANES>(mine, n, RING / 8, message));
    MOIETY_STAGE(region, write_all<word>(message, packed_words(n, RING), send));
}
template <int RING, int LANES>
void square_receive(const Operation& op, Elements tile, bool server, const word* receive, element<RING>* memory) {
#pragma HLS DATAFLOW
    using Lanes = Beat<RING, LANES>;
    using Passed = Sent<RING, LANES>;
    const int n = tile.count(), beats = beats_of<LANES>(n);
    MOIETY_FIFO(Lanes, x, 64);
    MOIETY_FIFO(Lanes, own, 64);
    MOIETY_FIFO(Lanes, ab, 64);
    MOIETY_FIFO(Lanes, mine, 64);
    MOIETY_FIFO(Lanes, theirs, 64);
    MOIETY_FIFO(Lanes, result, 64);
    MOIETY_FIFO(Passed, sent, 64);
    MOIETY_FIFO(word, message, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_x, tile, x));
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_own, tile, own));
    MOIETY_STAGE(region, square_open<RING, LANES>(x, own, beats, server, mine, sent));
    MOIETY_STAGE(region, drop<Lanes>(mine, beats));
    MOIETY_STAGE(region, read_all<word>(receive, packed_words(n, RING), message));
    MOIETY_STAGE(region, unpack<RING, LANES>(message, n, RING / 8, theirs));
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_share, tile, ab));
    MOIETY_STAGE(region, square_close<RING, LANES>(sent, ab, theirs, beats, server, result));
    MOIETY_STAGE(region, scatter<RING, LANES>(result, tile, memory + op.at_y));
}

template <int RING>
Wrap<RING> wrap_of(const Operation& op, bool server) {
    return op.kind == kind_truncate ? truncation<RING>(op.shift, server)
                                    : extension<RING>(op.bits, op.is_signed != 0, server);
}
template <int RING, int LANES>
void wrap_send(const Operation& op, Elements tile, bool server, const word* own_at, const element<RING>* memory,
               word* send) {
#pragma HLS DATAFLOW
    using Lanes = Beat<RING, LANES>;
    const int n = tile.count();
    MOIETY_FIFO(Lanes, y, 64);
    MOIETY_FIFO(Lanes, kept, 128);
    MOIETY_FIFO(word, own, 16);
    MOIETY_FIFO(word, mine, 16);
    MOIETY_FIFO(Opened, opened, 16);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_x, tile, y));
    MOIETY_STAGE(region, read_all<word>(own_at, words_of(n), own));
    MOIETY_STAGE(region, wrap_open<RING, LANES>(y, own, n, wrap_of<RING>(op, server), mine, opened, kept));
    MOIETY_STAGE(region, drop<Opened>(opened, words_of(n)));
    MOIETY_STAGE(region, drop<Lanes>(kept, beats_of<LANES>(n)));
    MOIETY_STAGE(region, write_all<word>(mine, words_of(n), send));
}
template <int RING, int LANES>
void wrap_receive(const Operation& op, Elements tile, bool server, const word* own_at, const word* receive,
                  element<RING>* memory) {
#pragma HLS DATAFLOW
    using Lanes = Beat<RING, LANES>;
    const int n = tile.count();
    MOIETY_FIFO(Lanes, y, 64);
    MOIETY_FIFO(Lanes, kept, 128);
    MOIETY_FIFO(Lanes, product, 64);
    MOIETY_FIFO(Lanes, result, 64);
    MOIETY_FIFO(word, own, 16);
    MOIETY_FIFO(word, mine, 16);
    MOIETY_FIFO(word, theirs, 16);
    MOIETY_FIFO(Opened, opened, 16);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_x, tile, y));
    MOIETY_STAGE(region, read_all<word>(own_at, words_of(n), own));
    MOIETY_STAGE(region, wrap_open<RING, LANES>(y, own, n, wrap_of<RING>(op, server), mine, opened, kept));
    MOIETY_STAGE(region, drop<word>(mine, words_of(n)));
    MOIETY_STAGE(region, read_all<word>(receive, words_of(n), theirs));
    MOIETY_STAGE(region, gather<RING, LANES>(memory + op.at_share, tile, product));
    MOIETY_STAGE(region,
                 wrap_close<RING, LANES>(opened, kept, product, theirs, n, wrap_of<RING>(op, server), server, result));
    MOIETY_STAGE(region, scatter<RING, LANES>(result, tile, memory + op.at_y));
}

// Words of a comparison's message in a hop.
inline int compare_words(const CircuitShape& shape, int hop, int n, int bits) {
    return hop == 0 ? shape.positions * words_of(n) + packed_words(n, bits) : shape.opened_in[hop - 1] * words_of(n);
}

// A tile's material: own input masks and the wires' masks (`masks` words of them), behind them the products.
template <int RING>
void relu_send(const Operation& op, const CircuitShape& shape, Elements tile, int masks, const word* material_at,
               const element<RING>* memory, Tile<RING>& context, word* send) {
#pragma HLS DATAFLOW
    using Each = element<RING>;
    const int n = tile.count();
    MOIETY_FIFO(Each, y, 64);
    MOIETY_FIFO(Each, delta, 64);
    MOIETY_FIFO(word, material, 64);
    MOIETY_FIFO(word, mine, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, gather_parts<RING>(memory + op.at_x, tile, 1, 1, y));
    MOIETY_STAGE(region, gather_parts<RING>(memory + op.at_select, tile, 3, 1, delta));
    MOIETY_STAGE(region, read_all<word>(material_at, masks, material));
    MOIETY_STAGE(region, compare_open<RING>(context, n, op.bits, true, y, material, delta, mine));
    MOIETY_STAGE(region, write_all<word>(mine, compare_words(shape, 0, n, op.bits), send));
}
template <int RING>
void relu_level(const Operation& op, const CircuitShape& shape, int level, bool server, const word* products_at,
                Tile<RING>& context, const word* receive, word* send) {
#pragma HLS DATAFLOW
    const int n = context.n, words = context.words;
    MOIETY_FIFO(word, theirs, 64);
    MOIETY_FIFO(word, material, 64);
    MOIETY_FIFO(word, mine, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, read_all<word>(receive, compare_words(shape, level, n, op.bits), theirs));
    MOIETY_STAGE(region, read_all<word>(products_at + shape.products_before(level) * words,
                                        shape.products_in[level] * words, material));
    MOIETY_STAGE(region, compare_level<RING>(context, level, server, true, theirs, material, mine));
    MOIETY_STAGE(region, write_all<word>(mine, compare_words(shape, level + 1, n, op.bits), send));
}
template <int RING>
void relu_receive(const Operation& op, const CircuitShape& shape, Elements tile, bool server, Tile<RING>& context,
                  const word* receive, element<RING>* memory) {
#pragma HLS DATAFLOW
    using Each = element<RING>;
    MOIETY_FIFO(word, theirs, 64);
    MOIETY_FIFO(Each, select, 64);
    MOIETY_FIFO(Each, result, 64);
    MOIETY_REGION(region);
    MOIETY_STAGE(region, read_all<word>(receive, compare_words(shape, shape.levels, tile.count(), op.bits), theirs));
    MOIETY_STAGE(region, gather_parts<RING>(memory + op.at_select, tile, 3, 3, select));
    MOIETY_STAGE(region, compare_close<RING>(context, server, true, theirs, select, result));
    MOIETY_STAGE(region, scatter_each<RING>(result, tile, memory + op.at_y));
}

// A tile of a server-held layer, group by group.
template <int RING, int OUT, int LANES>
void linear_step(const Operation& op, int bias_kind, int channel, int channels, int first, int positions,
                 element<RING>* memory) {
    const int a_group = op.conv.out_channels / op.conv.groups;
    for (int at = channel; at < channel + channels;) {
        const int left = a_group - at % a_group, rest = channel + channels - at;
        const Box box = {at, left < rest ? left : rest, first, positions};
        linear_box<RING, OUT, LANES>(memory + op.at_x, memory + op.at_w, memory + op.at_c, memory + op.at_bias,
                                     bias_kind, op.conv, box, memory + op.at_y);
        at += box.channels;
    }
}

// The client before an inference: its share of every layer's output is E * B + C_C.
template <int RING, int OUT, int LANES>
void offline_products(const word32* operations, element<RING>* memory) {
    for (int index = 0; index < operations[3].to_int(); ++index) {
        const Operation op = operation_at(operations, index);
        if (op.kind == kind_linear)
            linear_step<RING, OUT, LANES>(op, no_bias, 0, op.conv.out_channels, 0, op.conv.out_plane(), memory);
    }
}

inline Status check_tables(const word32* schedule, const word32* operations, int ring) {
    if (schedule[0] != schedule_magic || operations[0] != operations_magic) return not_a_schedule;
    if (schedule[1] != schedule_version || operations[1] != operations_version) return other_version;
    if (schedule[2] != ring || operations[2] != ring) return other_ring;
    for (int i = 0; i < hash_words; ++i)
        if (schedule[8 + i] != operations[8 + i]) return other_program;
    return done;
}

// A permutation of two axes, y (channels, rows) = x (rows, channels).
template <int RING>
void transpose_tile(const Operation& op, const Instruction& i, element<RING>* memory) {
    for (int c = i.channel; c < i.channel + i.channels; ++c)
        for (int r = i.row; r < i.row + i.rows; ++r) {
#pragma HLS PIPELINE II = 1
            memory[op.at_y + c * op.shape[1] + r] = memory[op.at_x + r * op.shape[0] + c];
        }
}

// One compute step at this board.
template <int RING, int OUT, int LANES, int SLOTS, int SLOT_WORDS, int CONTEXTS, int NODES>
Status compute_step(const Operation& op, const Instruction& i, bool server, const word* bits, element<RING>* memory,
                    Board<RING, SLOTS, SLOT_WORDS, CONTEXTS>& board) {
    const Elements tile = elements_of(op, i);
    word* send = board.send[i.out == no_slot ? 0 : i.out];
    const word* receive = board.receive[i.into == no_slot ? 0 : i.into];
    const word* tile_bits = bits + op.at_bits + i.tile * op.bits_a_tile;
    switch (i.kind) {
        case kind_open:
        case kind_output:
            if (i.step == 0)
                open_send<RING>(op, tile, memory, send);
            else
                open_receive<RING>(op, tile, receive, memory);
            return done;
        case kind_square:
            if (i.step == 0)
                square_send<RING, LANES>(op, tile, server, memory, send);
            else
                square_receive<RING, LANES>(op, tile, server, receive, memory);
            return done;
        case kind_truncate:
        case kind_extend:
            if (i.step == 0)
                wrap_send<RING, LANES>(op, tile, server, tile_bits, memory, send);
            else
                wrap_receive<RING, LANES>(op, tile, server, tile_bits, receive, memory);
            return done;
        case kind_shift:
        case kind_shift_left:
        case kind_scale:
        case kind_add:
        case kind_subtract:
        case kind_add_constant: move_tile<RING>(op, i.kind, tile, server, memory); return done;
        case kind_permute: transpose_tile<RING>(op, i, memory); return done;
        case kind_spmm:
            sparse_product<RING, LANES, NODES, element<RING>>(
                memory + op.at_x + i.channel * op.sparse.columns, memory + op.at_own, memory + op.at_share,
                memory + op.at_w, op.sparse, i.channels, memory + op.at_y + i.channel * op.sparse.rows);
            return done;
        case kind_reshape: return done;  // the same elements under another name
        case kind_sumpool:
            sum_windows<RING>(memory + op.at_x, op.pool, i.channel, i.channels, i.row, i.rows, memory + op.at_y);
            return done;
        case kind_linear: {
            const int columns = op.shape[2];
            linear_step<RING, OUT, LANES>(op, op.bias_kind, i.channel, i.channels, i.row * columns, i.rows * columns,
                                          memory);
            return done;
        }
        case kind_relu: {
            if (tile.count() > tile_elements) return tile_too_large;
            const int at = board.find(i.step == 0 ? -1 : i.op, i.tile);
            if (at < 0) return i.step == 0 ? out_of_contexts : no_context;
            board.context_op[at] = i.op;
            board.context_tile[at] = i.tile;
            const CircuitShape shape = circuit_shape(op.bits);
            const int masks = (shape.positions + shape.wires) * words_of(tile.count());
            if (i.step == 0) {
                relu_send<RING>(op, shape, tile, masks, tile_bits, memory, board.context[at], send);
            } else if (i.step <= shape.levels) {
                relu_level<RING>(op, shape, i.step - 1, server, tile_bits + masks, board.context[at], receive, send);
            } else {
                relu_receive<RING>(op, shape, tile, server, board.context[at], receive, memory);
                board.context_op[at] = -1;
            }
            return done;
        }
        default: return unsupported_kind;
    }
}

// Executes the schedule at one board; `failed` is the instruction at which it stopped.
template <int RING, int OUT, int LANES, int SLOTS, int SLOT_WORDS, int CONTEXTS, int NODES>
Status run_schedule(bool server, const word32* schedule, const word32* operations, const word* bits,
                    element<RING>* memory, Board<RING, SLOTS, SLOT_WORDS, CONTEXTS>& board, hls::stream<word>& to_peer,
                    hls::stream<word>& from_peer, int& failed) {
    failed = -1;
    const Status tables = check_tables(schedule, operations, RING);
    if (tables != done) return tables;
    int ended[units] = {};
    for (int c = 0; c < CONTEXTS; ++c) board.context_op[c] = -1;
instructions:
    for (int index = 0; index < schedule[3].to_int(); ++index) {
        failed = index;
        const Instruction i = instruction_at(schedule, index);
        if (i.op < 0 || i.op >= operations[3].to_int()) return not_an_operation;
        for (int u = 0; u < units; ++u)
            if (i.need[u] > ended[u]) return dependency;
        if ((i.out != no_slot && i.out >= SLOTS) || (i.into != no_slot && i.into >= SLOTS)) return no_such_slot;
        if (i.unit == unit_to_server || i.unit == unit_to_client) {
            const int words = (i.bytes + 7) / 8;
            if (words > SLOT_WORDS) return message_too_long;
            if (i.out == no_slot || i.into == no_slot) return no_such_slot;
            if ((i.unit == unit_to_client) == server)
                read_all<word>(board.send[i.out], words, to_peer);
            else
                write_all<word>(from_peer, words, board.receive[i.into]);
        } else if ((i.parties >> (server ? 0 : 1)) & 1) {
            const Operation op = operation_at(operations, i.op);
            if (op.kind != i.kind) return not_an_operation;
            const Status status =
                compute_step<RING, OUT, LANES, SLOTS, SLOT_WORDS, CONTEXTS, NODES>(op, i, server, bits, memory, board);
            if (status != done) return status;
        }
        ++ended[i.unit < units ? i.unit : 0];
    }
    failed = -1;
    return done;
}

}  // namespace moiety
