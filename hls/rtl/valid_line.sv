// The valid bits of a pipeline of DEPTH registers that freezes as a whole while its last result is not taken.
module valid_line #(
    parameter int DEPTH = 4
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic go,
    output logic out_valid,
    input  logic out_ready
);
    logic [DEPTH-1:0] valid;

    assign out_valid = valid[DEPTH-1];
    assign go        = out_ready || !out_valid;

    always_ff @(posedge clk)
        if (rst) valid <= '0;
        else if (go) valid <= {valid[DEPTH-2:0], in_valid};
endmodule
