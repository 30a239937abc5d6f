// A tile of a server-held linear map in the ring: OUT output channels times PIX positions, OUT * PIX products a cycle.
//
// A beat holds one weight of each channel and one input of each position; acc[o][p] += weight[o] * x[p]. `first` starts
// new sums, `last` ends them: a block of K beats, K = input channels times taps, makes one block of results. They leave
// one position a cycle (OUT words) while the next block runs. A beat a cycle; blocks shorter than PIX beats wait for the
// results before them. Latency of a block's first result: 5 cycles after its last beat.
module mac_tile #(
    parameter int W = 32,
    parameter int OUT = 4,
    parameter int PIX = 3
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             in_valid,
    output logic             in_ready,
    input  logic             first,
    input  logic             last,
    input  logic [OUT*W-1:0] weight,
    input  logic [PIX*W-1:0] x,
    output logic             out_valid,
    input  logic             out_ready,
    output logic [OUT*W-1:0] out
);
    localparam int COUNT = $clog2(PIX + 1);
    logic [3:0] valid, lasts;  // operands, product, product, sum
    logic [2:0] firsts;
    logic [COUNT-1:0] left;            // results of the last block that are still here
    logic go;

    // The sums of a block move to `held` when the results before them have gone.
    wire done = valid[3] && lasts[3];
    wire free = left == 0 || (left == 1 && out_ready);
    assign go        = !done || free;
    assign in_ready  = go;
    assign out_valid = left != 0;

    always_ff @(posedge clk)
        if (rst) begin
            valid <= '0;
            left  <= '0;
        end else begin
            if (go) valid <= {valid[2:0], in_valid};
            if (done && free) left <= COUNT'(PIX);
            else if (out_valid && out_ready) left <= left - 1;
        end
    always_ff @(posedge clk)
        if (go) begin
            firsts <= {firsts[1:0], first};
            lasts  <= {lasts[2:0], last};
        end

    logic [PIX*OUT*W-1:0] sums, held;  // position by position
    for (genvar o = 0; o < OUT; o++) begin : channel
        for (genvar p = 0; p < PIX; p++) begin : position
            logic [W-1:0] product, sum;
            ring_mul #(.W(W)) mul (.clk, .go, .a(weight[o*W+:W]), .b(x[p*W+:W]), .p(product));
            always_ff @(posedge clk)
                if (go && valid[2]) sum <= firsts[2] ? product : sum + product;
            assign sums[(p*OUT+o)*W+:W] = sum;
        end
    end
    always_ff @(posedge clk)
        if (done && free) held <= sums;
        else if (out_valid && out_ready) held <= held >> (OUT * W);
    assign out = held[OUT*W-1:0];
endmodule
