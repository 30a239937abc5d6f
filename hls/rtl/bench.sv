// All twins behind one port, for the bench (bench.cpp): `select_twin` chooses one, its fields lie in `in` from bit 0 on in
// the order of the connections below, its results in `out`.
module bench (
    input  logic         clk,
    input  logic         rst,
    input  logic [4:0]   select_twin,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic [511:0] in,
    output logic         out_valid,
    input  logic         out_ready,
    output logic [255:0] out
);
    localparam int TWINS = 17;
    localparam int LANES = 8;
    logic [TWINS-1:0] ready, valid;
    logic [TWINS-1:0][255:0] result;
    wire [TWINS-1:0] chosen = TWINS'(1) << select_twin;

    assign in_ready  = |(ready & chosen);
    assign out_valid = |(valid & chosen);
    assign out       = result[select_twin];

    for (genvar i = 0; i < 2; i++) begin : ring  // twin 2 n + i: 32 and 64 bits
        localparam int W = 32 << i;
        localparam int S = $clog2(W);
        wire v[6];
        for (genvar t = 0; t < 6; t++) assign v[t] = in_valid && chosen[2*t+i];

        x2act #(.W(W), .QUADRATIC(0)) square (
            .clk, .rst, .in_valid(v[0]), .in_ready(ready[i]), .y(in[0+:W]), .z(in[W+:W]), .d(in[2*W+:W]), .e(in[3*W+:W]),
            .own(in[4*W+:W]), .rest(in[5*W+:W]), .server(in[6*W]), .q('0), .c2('0), .c1('0),
            .out_valid(valid[i]), .out_ready, .out(result[i][W-1:0]));
        x2act #(.W(W), .QUADRATIC(1)) quadratic (
            .clk, .rst, .in_valid(v[1]), .in_ready(ready[2+i]), .y(in[0+:W]), .z(in[0+:W]), .d(in[W+:W]), .e(in[2*W+:W]),
            .own(in[3*W+:W]), .rest(in[4*W+:W]), .q(in[5*W+:W]), .c2(in[6*W+:W]), .c1(in[7*W+:W]), .server(1'b1),
            .out_valid(valid[2+i]), .out_ready, .out(result[2+i][W-1:0]));
        truncate_mask #(.W(W)) mask (
            .clk, .rst, .in_valid(v[2]), .in_ready(ready[4+i]), .y(in[0+:W]), .own(in[W]), .server(in[W+1]),
            .out_valid(valid[4+i]), .out_ready, .top(result[4+i][0]));
        truncate_finish #(.W(W)) finish (
            .clk, .rst, .in_valid(v[3]), .in_ready(ready[6+i]), .y(in[0+:W]), .uv(in[W+:W]), .shift(in[2*W+:S]),
            .d(in[2*W+8]), .e(in[2*W+9]), .own(in[2*W+10]), .server(in[2*W+11]),
            .out_valid(valid[6+i]), .out_ready, .out(result[6+i][W-1:0]));
        select #(.W(W)) pick (
            .clk, .rst, .in_valid(v[4]), .in_ready(ready[8+i]), .dx(in[0+:W]), .delta(in[W+:W]), .beta(in[2*W+:W]),
            .beta_delta(in[3*W+:W]), .db(in[4*W]), .server(in[4*W+1]),
            .out_valid(valid[8+i]), .out_ready, .out(result[8+i][W-1:0]));
        // 3 channels, 2 positions
        mac_tile #(.W(W), .OUT(3), .PIX(2)) mac (
            .clk, .rst, .in_valid(v[5]), .in_ready(ready[10+i]), .weight(in[0+:3*W]), .x(in[3*W+:2*W]),
            .first(in[5*W]), .last(in[5*W+1]),
            .out_valid(valid[10+i]), .out_ready, .out(result[10+i][3*W-1:0]));
        mask_lane #(.W(W)) masked (
            .clk, .rst, .in_valid(in_valid && chosen[15+i]), .in_ready(ready[15+i]), .x(in[0+:W]), .m(in[W+:W]),
            .twice(in[2*W]), .negate(in[2*W+1]), .out_valid(valid[15+i]), .out_ready, .out(result[15+i][W-1:0]));
        assign result[15+i][255:W] = '0;
        for (genvar t = 0; t < 5; t++) begin : unused
            if (t == 2) assign result[4+i][255:1] = '0;
            else assign result[2*t+i][255:W] = '0;
        end
        assign result[10+i][255:3*W] = '0;
    end

    prefix_leaf #(.LANES(LANES)) leaf (
        .clk, .rst, .in_valid(in_valid && chosen[12]), .in_ready(ready[12]), .a(in[0+:32]), .b(in[32+:32]),
        .own(in[64+:32]), .g_mask(in[96+:8]), .p_mask(in[104+:8]), .products(in[112+:37*LANES]), .server(in[408]),
        .out_valid(valid[12]), .out_ready, .g(result[12][7:0]), .p(result[12][15:8]));
    prefix_inner #(.LANES(LANES)) inner (
        .clk, .rst, .in_valid(in_valid && chosen[13]), .in_ready(ready[13]), .g_in(in[0+:32]), .p_in(in[32+:32]),
        .g_in_mask(in[64+:32]), .p_in_mask(in[96+:32]), .g_mask(in[128+:8]), .p_mask(in[136+:8]),
        .products(in[144+:22*LANES]), .server(in[320]),
        .out_valid(valid[13]), .out_ready, .g(result[13][7:0]), .p(result[13][15:8]));
    assign result[12][255:16] = '0;
    assign result[13][255:16] = '0;
    aes_round aes (
        .clk, .rst, .in_valid(in_valid && chosen[14]), .in_ready(ready[14]), .state(in[0+:128]), .key(in[128+:128]),
        .last(in[256]), .out_valid(valid[14]), .out_ready, .out(result[14][127:0]));
    assign result[14][255:128] = '0;
endmodule
