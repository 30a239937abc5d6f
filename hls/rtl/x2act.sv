// The last step of a quadratic activation, one element a cycle (csrc/mpc/product.hpp; engine.md 3.6, 3.7).
//
//     square  (QUADRATIC 0)   out = y z + (d + a) e + ab        at the server, z = y
//                             out = y z + d b + ab              at the client
//     x2      (QUADRATIC 1)   out = c2 (y z + q) + c1 y + (d + a) e + (c0 + c + ab)      at the server, z = y
//
// A product of two shared values is two passes (z the other factor, then 0), one for each of its cross terms.
// `own` is a at the server, b at the client, `d` and `e` the opened factors, `rest` the sum of what is only added (ab, or
// c0 + c + ab). Latency 5 and 9 cycles, II = 1.
module x2act #(
    parameter int W = 32,
    parameter bit QUADRATIC = 0
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic         server,
    input  logic [W-1:0] y,
    input  logic [W-1:0] z,
    input  logic [W-1:0] d,
    input  logic [W-1:0] e,
    input  logic [W-1:0] own,
    input  logic [W-1:0] rest,
    input  logic [W-1:0] q,
    input  logic [W-1:0] c2,
    input  logic [W-1:0] c1,
    output logic         out_valid,
    input  logic         out_ready,
    output logic [W-1:0] out
);
    localparam int LATENCY = QUADRATIC ? 9 : 5;
    logic go;
    valid_line #(.DEPTH(LATENCY)) line (.*);
    assign in_ready = go;

    // 1. The factors of the cross term.
    logic [W-1:0] left, right, value, value2;
    always_ff @(posedge clk)
        if (go) begin
            left  <= server ? d + own : d;
            right <= server ? e : own;
            value <= y;
            value2 <= z;
        end

    // 2-4. Both products.
    logic [W-1:0] square, mixed;
    ring_mul #(.W(W)) squarer (.clk, .go, .a(value), .b(value2), .p(square));
    ring_mul #(.W(W)) crosser (.clk, .go, .a(left), .b(right), .p(mixed));
    logic [4*W-1:0] rest_of;  // delayed by one to four cycles, the latest in the low bits
    always_ff @(posedge clk) if (go) rest_of <= {rest_of[3*W-1:0], rest};
    wire [W-1:0] rest4 = rest_of[3*W+:W];

    if (QUADRATIC) begin : quadratic
        logic [4*W-1:0] q_of, c2_of;
        logic [3*W-1:0] partial_of;
        logic [W-1:0] c1_of, linear, sum, scaled, partial, factor;
        always_ff @(posedge clk)
            if (go) begin
                c1_of <= c1;
                q_of  <= {q_of[3*W-1:0], q};
                c2_of <= {c2_of[3*W-1:0], c2};
                // 5. What c2 multiplies, and everything else.
                sum     <= square + q_of[3*W+:W];
                factor  <= c2_of[3*W+:W];
                partial <= linear + mixed + rest4;
                // 6-8. Beside the last product.
                partial_of <= {partial_of[2*W-1:0], partial};
                // 9.
                out <= scaled + partial_of[2*W+:W];
            end
        ring_mul #(.W(W)) liner (.clk, .go, .a(value), .b(c1_of), .p(linear));
        ring_mul #(.W(W)) scaler (.clk, .go, .a(sum), .b(factor), .p(scaled));
    end else begin : plain
        // 5.
        always_ff @(posedge clk) if (go) out <= square + mixed + rest4;
    end
endmodule
