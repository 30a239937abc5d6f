// p = a b mod 2^W, three cycles later: operands, partial products, sum. `go` freezes all registers.
module ring_mul #(
    parameter int W = 32
) (
    input  logic         clk,
    input  logic         go,
    input  logic [W-1:0] a,
    input  logic [W-1:0] b,
    output logic [W-1:0] p
);
    logic [W-1:0] x, y, product;

    always_ff @(posedge clk)
        if (go) begin
            x       <= a;
            y       <= b;
            product <= x * y;
            p       <= product;
        end
endmodule
