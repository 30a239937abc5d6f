// Truncation without gross failures, one element a cycle (csrc/mpc/linear.hpp; engine.md 3.2).
//
// With a = y_S + 2^(W-2) and b = y_C, w = msb(a) OR msb(b) = 1 - p q for p = 1 - msb(a), q = 1 - msb(b):
//     truncate_mask    top = p ^ u at the server, q ^ v at the client: what is opened
//     truncate_finish  y' = (a >> s) + (b >> s) - w 2^(W-s) - 2^(W-2-s) + 1, share by share, from the opened d = p ^ u
//                      and e = q ^ v, the party's own mask bit and its share `uv` of the product u v
// p q = A B uv + A e u + B d v + d e with A = 1 - 2d, B = 1 - 2e. Latency 2 and 4 cycles, II = 1.
module truncate_mask #(
    parameter int W = 32
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic         server,
    input  logic [W-1:0] y,
    input  logic         own,
    output logic         out_valid,
    input  logic         out_ready,
    output logic         top
);
    logic go;
    valid_line #(.DEPTH(2)) line (.*);
    assign in_ready = go;

    logic [W-1:0] a;
    logic         mask;
    always_ff @(posedge clk)
        if (go) begin
            a    <= server ? y + (W'(1) << (W - 2)) : y;
            mask <= own;
            top  <= ~a[W-1] ^ mask;
        end
endmodule

module truncate_finish #(
    parameter int W = 32
) (
    input  logic                 clk,
    input  logic                 rst,
    input  logic                 in_valid,
    output logic                 in_ready,
    input  logic                 server,
    input  logic [$clog2(W)-1:0] shift,
    input  logic [W-1:0]         y,
    input  logic                 d,
    input  logic                 e,
    input  logic                 own,
    input  logic [W-1:0]         uv,
    output logic                 out_valid,
    input  logic                 out_ready,
    output logic [W-1:0]         out
);
    logic go;
    valid_line #(.DEPTH(4)) line (.*);
    assign in_ready = go;

    // 1. a or b; A B uv; the terms of one bit: A e u + d e at the server, B d v at the client.
    logic [W-1:0] a, product;
    logic signed [2:0] bits;
    logic [$clog2(W)-1:0] s1, s2;
    logic server1, server2;
    wire other = (server ? e : d) & own;
    wire flip  = server ? d : e;
    always_ff @(posedge clk)
        if (go) begin
            a       <= server ? y + (W'(1) << (W - 2)) : y;
            product <= d ^ e ? -uv : uv;
            bits    <= (other ? (flip ? -3'sd1 : 3'sd1) : 3'sd0) + $signed({2'b0, server & d & e})
                       - $signed({2'b0, server});  // ... and what 1 - p q leaves over
            s1      <= shift;
            server1 <= server;
        end

    // 2. The shifted share, and -w.
    logic [W-1:0] shifted, wrap;
    always_ff @(posedge clk)
        if (go) begin
            shifted <= a >> s1;
            wrap    <= product + W'(bits);
            s2      <= s1;
            server2 <= server1;
        end

    // 3. Both at their place; 4. the sum.
    logic [W-1:0] low, high;
    always_ff @(posedge clk)
        if (go) begin
            low  <= server2 ? shifted + W'(1) - ((W'(1) << (W - 2)) >> s2) : shifted;
            high <= (wrap << 1) << (W - 1 - 32'(s2));
            out  <= low + high;
        end
endmodule
