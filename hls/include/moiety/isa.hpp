// The two tables that the scheduler kernel reads: a static schedule (python/moiety/hls/isa.py has its meaning) and what
// each operation of the program is (python/moiety/hls/image.py writes it). Both are words of 32 bits.
#pragma once

#include <moiety/linear.hpp>
#include <moiety/pool.hpp>
#include <moiety/spmm.hpp>

namespace moiety {

using word32 = ap_uint<32>;

constexpr unsigned schedule_magic = 0x53494F4D, operations_magic = 0x4F494F4D;  // "MOIS", "MOIO"
constexpr int schedule_version = 2, operations_version = 1;
constexpr int header_words = 16, instruction_words = 24, operation_words = 64, hash_words = 8, units = 8;
constexpr int no_slot = 0xFFFF;

enum Kind {
    kind_end,
    kind_open,
    kind_linear,
    kind_truncate,
    kind_shift,
    kind_relu,
    kind_hardtanh,
    kind_maxpool,
    kind_argmax,
    kind_extend,
    kind_x2,
    kind_square,
    kind_multiply,
    kind_sumpool,
    kind_scale,
    kind_shift_left,
    kind_add,
    kind_subtract,
    kind_concat,
    kind_reshape,
    kind_permute,
    kind_slice,
    kind_upsample,
    kind_pad,
    kind_add_constant,
    kind_output,
    kind_spmm
};
enum Unit { unit_to_server = 6, unit_to_client = 7 };

// What a run ends with; anything but `done` names what the schedule or the tables do not keep to.
enum Status {
    done,
    not_a_schedule,
    other_version,
    other_ring,
    other_program,
    not_an_operation,
    unsupported_kind,
    dependency,
    no_such_slot,
    message_too_long,
    tile_too_large,
    out_of_contexts,
    no_context
};

struct Instruction {
    int kind, unit, parties, step, op, tile, channel, channels, row, rows, out, into, bytes;
    int need[units];
};

inline Instruction instruction_at(const word32* schedule, int index) {
    const word32* w = schedule + header_words + index * instruction_words;
    Instruction i;
    const unsigned first = w[0].to_uint(), slots = w[7].to_uint();
    i.kind = static_cast<int>(first & 0xFF);
    i.unit = static_cast<int>(first >> 8 & 0xFF);
    i.parties = static_cast<int>(first >> 16 & 0xFF);
    i.step = static_cast<int>(first >> 24);
    i.op = w[1].to_int();
    i.tile = w[2].to_int();
    i.channel = w[3].to_int();
    i.channels = w[4].to_int();
    i.row = w[5].to_int();
    i.rows = w[6].to_int();
    i.out = static_cast<int>(slots & 0xFFFF);
    i.into = static_cast<int>(slots >> 16);
    i.bytes = w[8].to_int();
    for (int u = 0; u < units; ++u) i.need[u] = w[14 + u].to_int();
    return i;
}

// Shapes are (C, R, W); what begins with `at_` is where an array begins, in elements of `memory` or words of `bits`.
struct Operation {
    int kind, at_x, at_x1, at_y, shape[3], shift, bits, is_signed;
    int at_w, at_bias, bias_kind, at_c;  // linear; add_constant: at_c, bias_kind; spmm: at_w the coefficients
    int at_own, at_share, at_select;     // cross and mask; cross and bit product; delta, beta, beta*delta
                                         // spmm: at_own the pointers, at_share the indices, an element each
    int at_bits, bits_a_tile;            // own bits of a bit product, material of a circuit, tile by tile
    word factor;
    Conv conv;
    Pool pool;
    Sparse sparse;
};

inline Operation operation_at(const word32* operations, int index) {
    const word32* w = operations + header_words + index * operation_words;
    Operation o;
    o.kind = w[0].to_int();
    o.at_x = w[1].to_int();
    o.at_x1 = w[2].to_int();
    o.at_y = w[3].to_int();
    for (int d = 0; d < 3; ++d) o.shape[d] = w[4 + d].to_int();
    o.shift = w[7].to_int();
    o.bits = w[8].to_int();
    o.is_signed = w[9].to_int();
    o.at_w = w[10].to_int();
    o.at_bias = w[11].to_int();
    o.bias_kind = w[12].to_int();
    o.at_c = w[13].to_int();
    o.at_own = w[14].to_int();
    o.at_share = w[15].to_int();
    o.at_select = w[16].to_int();
    o.at_bits = w[17].to_int();
    o.bits_a_tile = w[18].to_int();
    o.factor = word(word(w[20]) << 32) | word(w[19]);
    o.conv.in_channels = w[24].to_int();
    o.conv.out_channels = w[25].to_int();
    o.conv.groups = w[26].to_int();
    for (int d = 0; d < 3; ++d) {
        o.conv.in[d] = o.pool.in[d] = w[27 + d].to_int();
        o.conv.kernel[d] = o.pool.kernel[d] = w[30 + d].to_int();
        o.conv.stride[d] = o.pool.stride[d] = w[33 + d].to_int();
        o.conv.padding[d] = o.pool.padding[d] = w[36 + d].to_int();
        o.conv.dilation[d] = w[39 + d].to_int();
        o.conv.out[d] = o.pool.out[d] = w[42 + d].to_int();
    }
    o.sparse.rows = o.conv.in_channels;
    o.sparse.columns = o.conv.out_channels;
    o.sparse.steps = o.conv.groups;
    o.sparse.weighted = o.conv.in[0] != 0;
    return o;
}

}  // namespace moiety
