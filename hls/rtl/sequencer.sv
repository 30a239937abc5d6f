// Runs a static schedule (python/moiety/hls/isa.py) of a program without comparisons: a queue of instructions for every
// unit, each of which starts when as many instructions of every unit have ended as it needs. The units are the twins:
// streams of as many beats as a tile has work, through mac_tile, x2act, truncate_* and mask_lane; the links are a rate and
// a latency. It exists to hold the cycle model to account, so it knows nothing of the cycles that a schedule predicts:
// beats come from the tile's box and the operation's shape. Data are arbitrary; the twins' results are tested elsewhere.
//
// `stall` holds back, at random, the stream of each of the units into the twins (bits 0-4) and the results of the product
// on their way to memory (bit 5). One board stands for both: they run the same list.

// What a unit is told of an instruction, by the loader.
package sequencer_types;
    typedef struct packed {
        logic [7:0][31:0] need;
        logic [31:0] bytes;
        logic [31:0] factor;   // beats an element, in units of the lanes; 0: one beat in all
        logic [31:0] depth;    // beats of a block of the product
        logic [31:0] columns;
        logic [31:0] rows;
        logic [31:0] channels;
        logic [31:0] step;
    } entry_t;
endpackage

// The queue of one unit: the entry at its head, and whether it may start.
module unit_queue #(
    parameter int SIZE = 4096
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     load,
    input  sequencer_types::entry_t  entry,
    input  logic [7:0][31:0]         ended,
    output logic                     ready,
    output sequencer_types::entry_t  head,
    input  logic                     take,
    output logic                     empty
);
    sequencer_types::entry_t memory[SIZE];
    logic [$clog2(SIZE):0] written, read;

    assign empty = read == written;
    assign head  = memory[read[$clog2(SIZE)-1:0]];
    always_comb begin
        ready = !empty;
        for (int u = 0; u < 8; u++) ready &= ended[u] >= head.need[u];
    end
    always_ff @(posedge clk)
        if (rst) begin
            written <= '0;
            read    <= '0;
        end else begin
            if (load) begin
                memory[written[$clog2(SIZE)-1:0]] <= entry;
                written <= written + 1;
            end
            if (take) read <= read + 1;
        end
endmodule

// One compute unit. KIND: 0 product, 1 square, 2 truncate, 4 pool, 5 move, as isa.Unit.
module compute_unit #(
    parameter int KIND = 5,
    parameter int W = 64,
    parameter int LANES = 1,
    parameter int OUT = 8,
    parameter int PIX = 8
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    load,
    input  sequencer_types::entry_t entry,
    input  logic [7:0][31:0]        ended,
    input  logic                    stall,
    input  logic                    out_stall,
    output logic [31:0]             count,
    output logic                    idle
);
    sequencer_types::entry_t head;
    logic ready, take, empty;
    unit_queue queue (.*);

    // The instruction under way: what is left of its box, by beats.
    logic busy, step, second;
    logic [31:0] left, columns_left, channels_left, positions, block, depth;
    logic in_valid, in_ready, out_valid, final_beat;
    logic [31:0] expected, had, inflight, target[8];
    logic [2:0] put, got, pending;
    // Results come in the order of the beats only within one twin: a truncation's steps do not mix in the pipeline.
    wire blocked = KIND == 2 && busy && step != second && inflight != 0;
    wire beat = in_valid && in_ready;
    wire last = block + 1 == depth;  // of a block of the product
    assign in_valid = busy && !stall && !blocked;
    assign final_beat = KIND == 0 ? last && columns_left <= PIX && channels_left <= OUT : left <= LANES;
    assign take = ready && (!busy || (beat && final_beat)) && pending != 7;

    logic [31:0] elements;
    assign elements = head.channels * head.rows * head.columns * head.factor;
    always_ff @(posedge clk)
        if (rst) busy <= 1'b0;
        else if (take) begin
            busy          <= 1'b1;
            step          <= head.step[0];
            left          <= elements == 0 ? 32'd1 : elements;
            depth         <= head.depth;
            positions     <= head.rows * head.columns;
            columns_left  <= head.rows * head.columns;
            channels_left <= head.channels;
            block         <= '0;
        end else if (beat) begin
            if (final_beat) busy <= 1'b0;
            left <= left - LANES;
            if (KIND == 0) begin
                block <= last ? '0 : block + 1;
                if (last) begin
                    columns_left <= columns_left <= PIX ? positions : columns_left - PIX;
                    if (columns_left <= PIX) channels_left <= channels_left - OUT;
                end
            end
        end
    always_ff @(posedge clk) if (beat) second <= step;

    // Results: an instruction has ended when those of its last beat are out.
    wire ends = pending != 0 && had >= target[got];
    assign inflight = expected - had;
    assign pending  = put - got;
    assign idle     = empty && !busy && pending == 0;
    wire [31:0] more = KIND == 0 ? (last ? PIX : 0) : 1;
    wire out = out_valid && !out_stall;
    always_ff @(posedge clk)
        if (rst) begin
            expected <= '0;
            had      <= '0;
            put      <= '0;
            got      <= '0;
            count    <= '0;
        end else begin
            if (beat) expected <= expected + more;
            if (out) had <= had + 1;
            if (beat && final_beat) begin
                target[put] <= expected + more;
                put <= put + 1;
            end
            if (ends) begin
                got   <= got + 1;
                count <= count + 1;
            end
        end

    // The twins, on arbitrary data.
    logic [63:0] value;
    always_ff @(posedge clk) value <= rst ? 64'd1 : value * 64'd6364136223846793005 + 64'd1442695040888963407;
    wire [W-1:0] x = value[W-1:0];
    if (KIND == 0) begin : product
        logic [OUT*W-1:0] out_words;
        mac_tile #(.W(W), .OUT(OUT), .PIX(PIX)) tile (
            .clk, .rst, .in_valid, .in_ready, .first(block == 0), .last, .weight({OUT{x}}), .x({PIX{~x}}),
            .out_valid, .out_ready(!out_stall), .out(out_words));
    end else if (KIND == 2) begin : truncate
        logic [LANES-1:0] ready0, ready1, valid0, valid1, top;
        logic [LANES-1:0][W-1:0] out_words;
        assign in_ready  = step ? ready1[0] : ready0[0];
        assign out_valid = valid0[0] || valid1[0];
        for (genvar i = 0; i < LANES; i++) begin : lane
            truncate_mask #(.W(W)) mask (
                .clk, .rst, .in_valid(in_valid && !step), .in_ready(ready0[i]), .server(1'b1), .y(x), .own(x[0]),
                .out_valid(valid0[i]), .out_ready(!out_stall), .top(top[i]));
            truncate_finish #(.W(W)) finish (
                .clk, .rst, .in_valid(in_valid && step), .in_ready(ready1[i]), .server(1'b1), .shift($clog2(W)'(W / 4)), .y(x),
                .d(x[1]), .e(x[2]), .own(x[3]), .uv(~x), .out_valid(valid1[i]), .out_ready(!out_stall),
                .out(out_words[i]));
        end
    end else begin : lanes
        logic [LANES-1:0] ready1, valid1;
        logic [LANES-1:0][W-1:0] out_words;
        assign in_ready  = ready1[0];
        assign out_valid = valid1[0];
        for (genvar i = 0; i < LANES; i++) begin : lane
            if (KIND == 1)
                x2act #(.W(W)) square (
                    .clk, .rst, .in_valid, .in_ready(ready1[i]), .server(1'b1), .y(x), .z(x), .d(~x), .e(x), .own(x),
                    .rest(x), .q('0), .c2('0), .c1('0), .out_valid(valid1[i]), .out_ready(!out_stall),
                    .out(out_words[i]));
            else
                mask_lane #(.W(W)) sum (
                    .clk, .rst, .in_valid, .in_ready(ready1[i]), .twice(x[0]), .negate(x[1]), .x, .m(~x),
                    .out_valid(valid1[i]), .out_ready(!out_stall), .out(out_words[i]));
        end
    end
endmodule

// One direction of the link: `rate` bytes a cycle (16 fraction bits), a message after the other, each there `latency`
// cycles after its last byte has left.
module link_unit (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    load,
    input  sequencer_types::entry_t entry,
    input  logic [7:0][31:0]        ended,
    input  logic [47:0]             rate,
    input  logic [31:0]             latency,
    output logic [31:0]             count,
    output logic                    idle
);
    sequencer_types::entry_t head;
    logic ready, take, empty, busy;
    unit_queue queue (.*);

    logic [47:0] sent, size;
    logic [31:0] now, arrival[256];
    logic [7:0] put, got;
    wire last = sent + rate >= size;
    assign take = ready && (!busy || last) && put + 8'd1 != got;
    assign idle = empty && !busy && put == got;
    always_ff @(posedge clk)
        if (rst) begin
            now   <= '0;
            busy  <= 1'b0;
            put   <= '0;
            got   <= '0;
            count <= '0;
        end else begin
            now <= now + 1;
            if (busy && last) begin
                busy <= 1'b0;
                arrival[put] <= now + latency;
                put <= put + 1;
            end else sent <= sent + rate;
            if (take) begin
                busy <= 1'b1;
                sent <= '0;
                size <= {head.bytes, 16'd0};
            end
            if (put != got && now >= arrival[got]) begin
                got   <= got + 1;
                count <= count + 1;
            end
        end
endmodule

module sequencer #(
    parameter int W = 64,
    parameter int OUT = 8,
    parameter int PIX = 8,
    parameter int SQUARE = 1,
    parameter int TRUNCATE = 2,
    parameter int POOL = 1,
    parameter int MOVE = 2
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    run,
    input  logic                    load,
    input  logic [2:0]              load_unit,
    input  sequencer_types::entry_t entry,
    input  logic [47:0]             rate,
    input  logic [31:0]             latency,
    input  logic [5:0]              stall,
    output logic [7:0][31:0]        ended,
    output logic                    idle
);
    logic [7:0] idles;
    logic [7:0][31:0] seen;
    wire [7:0] loads = load ? 8'd1 << load_unit : 8'd0;
    assign idle = &idles;
    assign ended[3] = '0;  // no comparisons
    assign idles[3] = 1'b1;
    // While instructions are loaded, none may start.
    for (genvar u = 0; u < 8; u++) assign seen[u] = run ? ended[u] : '0;

    `define UNIT(kind, lanes, bit_of, out_of) \
        compute_unit #(.KIND(kind), .W(W), .LANES(lanes), .OUT(OUT), .PIX(PIX)) unit_``kind ( \
            .clk, .rst, .load(loads[kind]), .entry, .ended(seen), .stall(stall[bit_of] || !run), .out_stall(out_of), \
            .count(ended[kind]), .idle(idles[kind]));
    `UNIT(0, 1, 0, stall[5])
    `UNIT(1, SQUARE, 1, 1'b0)
    `UNIT(2, TRUNCATE, 2, 1'b0)
    `UNIT(4, POOL, 3, 1'b0)
    `UNIT(5, MOVE, 4, 1'b0)
    `undef UNIT
    for (genvar d = 6; d < 8; d++) begin : link
        link_unit way (
            .clk, .rst, .load(loads[d]), .entry, .ended(seen), .rate(run ? rate : '0), .latency,
            .count(ended[d]), .idle(idles[d]));
    end
endmodule
