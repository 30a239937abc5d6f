// One round of AES-128 encryption (FIPS 197), of the generator that expands correlations: SubBytes, ShiftRows,
// MixColumns (not in the last round), AddRoundKey. Byte i of the state lies in bits 8i..8i+7; table look-ups become LUTs,
// so the circuit's timing depends on no secret. Latency 2 cycles, II = 1: ten of them in a row make a block a cycle.
module aes_round (
    input  logic         clk,
    input  logic         rst,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic         last,
    input  logic [127:0] state,
    input  logic [127:0] key,
    output logic         out_valid,
    input  logic         out_ready,
    output logic [127:0] out
);
    // S(x) in byte x.
    localparam logic [2047:0] SBOX = {
        256'h16bb54b00f2d99416842e6bf0d89a18cdf2855cee9871e9b948ed9691198f8e1,
        256'h9e1dc186b95735610ef6034866b53e708a8bbd4b1f74dde8c6b4a61c2e2578ba,
        256'h08ae7a65eaf4566ca94ed58d6d37c8e779e4959162acd3c25c2406490a3a32e0,
        256'hdb0b5ede14b8ee4688902a22dc4f816073195d643d7ea7c41744975fec130ccd,
        256'hd2f3ff1021dab6bcf5389d928f40a351a89f3c507f02f94585334d43fbaaefd0,
        256'hcf584c4a39becb6a5bb1fc20ed00d153842fe329b3d63b52a05a6e1b1a2c8309,
        256'h75b227ebe28012079a059618c323c7041531d871f1e5a534ccf73f362693fdb7,
        256'hc072a49cafa2d4adf04759fa7dc982ca76abd7fe2b670130c56f6bf27b777c63
    };

    function automatic logic [7:0] twice(input logic [7:0] b);
        twice = {b[6:0], 1'b0} ^ (b[7] ? 8'h1b : 8'h00);
    endfunction

    logic go;
    valid_line #(.DEPTH(2)) line (.*);
    assign in_ready = go;

    // 1. SubBytes and ShiftRows: row r of column c comes from column c + r.
    logic [127:0] shifted, key1;
    logic         last1;
    always_ff @(posedge clk)
        if (go) begin
            for (int c = 0; c < 4; c++)
                for (int r = 0; r < 4; r++)
                    shifted[8*(4*c+r)+:8] <= SBOX[8*state[8*(4*((c+r)%4)+r)+:8]+:8];
            key1  <= key;
            last1 <= last;
        end

    // 2. MixColumns and AddRoundKey.
    logic [127:0] mixed;
    always_comb
        for (int c = 0; c < 4; c++)
            for (int r = 0; r < 4; r++)
                mixed[8*(4*c+r)+:8] = twice(shifted[8*(4*c+r)+:8])
                    ^ twice(shifted[8*(4*c+(r+1)%4)+:8]) ^ shifted[8*(4*c+(r+1)%4)+:8]
                    ^ shifted[8*(4*c+(r+2)%4)+:8] ^ shifted[8*(4*c+(r+3)%4)+:8];
    always_ff @(posedge clk) if (go) out <= (last1 ? shifted : mixed) ^ key1;
endmodule
