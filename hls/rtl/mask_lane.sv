// Sums of one element a cycle: what goes out under a mask and what local operations make of two shares.
//
//     out = (twice ? 2 x : x) + m    or, with `negate`, - m
//
// opens x - B (twice 0), masks the factor 2 x - a of a square (twice 1), adds, subtracts, adds constants, sums windows.
// Latency 2 cycles, II = 1.
module mask_lane #(
    parameter int W = 32
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic         twice,
    input  logic         negate,
    input  logic [W-1:0] x,
    input  logic [W-1:0] m,
    output logic         out_valid,
    input  logic         out_ready,
    output logic [W-1:0] out
);
    logic go;
    valid_line #(.DEPTH(2)) line (.*);
    assign in_ready = go;

    logic [W-1:0] value, other;
    always_ff @(posedge clk)
        if (go) begin
            value <= twice ? x << 1 : x;
            other <= negate ? -m : m;
            out   <= value + other;
        end
endmodule
