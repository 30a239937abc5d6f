// The steps of a comparison's circuit on LANES elements a cycle, bit-sliced (csrc/mpc/circuit.hpp, engine.md 3.4).
//
// A radix-4 prefix node in masked-value form: from masked wires (public) and the party's shares of products of masks the
// party's share of the node's masked outputs
//     G = G_3 ^ P_3 G_2 ^ P_3 P_2 G_1 ^ P_3 P_2 P_1 G_0,    P = P_3 P_2 P_1 P_0.
// Over sets S of higher positions, bit t of S for the t-th highest: coef[S] is the product of the masked P outside S,
// pi[S] the share of the product of their masks over S. Products come in the engine's order. Vectors of several planes
// hold the lowest position, or the first product, in their low LANES bits. Latency 2 cycles, II = 1.
//
// prefix_leaf: positions with g_i = a_i b_i, p_i = a_i ^ b_i; a~, b~ masked, `own` the party's input masks.
module prefix_leaf #(
    parameter int LANES = 8,
    parameter int PRODUCTS = 37
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic                      in_valid,
    output logic                      in_ready,
    input  logic                      server,
    input  logic [4*LANES-1:0]        a,
    input  logic [4*LANES-1:0]        b,
    input  logic [4*LANES-1:0]        own,
    input  logic [PRODUCTS*LANES-1:0] products,
    input  logic [LANES-1:0]          g_mask,
    input  logic [LANES-1:0]          p_mask,
    output logic                      out_valid,
    input  logic                      out_ready,
    output logic [LANES-1:0]          g,
    output logic [LANES-1:0]          p
);
    typedef logic [LANES-1:0] plane;
    logic go;
    valid_line #(.DEPTH(2)) line (.*);
    assign in_ready = go;

    logic [4*LANES-1:0] a1, b1, own1;
    logic [PRODUCTS*LANES-1:0] products1;
    plane g_mask1, p_mask1, public1;
    always_ff @(posedge clk)
        if (go) begin
            a1        <= a;
            b1        <= b;
            own1      <= own;
            products1 <= products;
            g_mask1   <= g_mask;
            p_mask1   <= p_mask;
            public1   <= {LANES{server}};
        end

    logic [15:0][LANES-1:0] coef, pi;
    plane at, bt, mt, g_next, p_next;
    int k;
    always_comb begin
        for (int s = 0; s < 16; s++) begin
            coef[s] = '1;
            pi[s]   = '0;
        end
        g_next = '0;
        k = 0;
        for (int t = 0; t < 4; t++) begin
            at = a1[(3-t)*LANES+:LANES];
            bt = b1[(3-t)*LANES+:LANES];
            mt = own1[(3-t)*LANES+:LANES];
            g_next ^= coef[0] & ((at & bt & public1) ^ (at & mt & ~public1) ^ (bt & mt & public1)
                                 ^ products1[k*LANES+:LANES]);
            k += 1;
            for (int s = 1; s < (1 << t); s++) begin
                // the products alpha pi_S, beta pi_S and alpha beta pi_S
                g_next ^= coef[s] & ((at & bt & pi[s]) ^ (at & products1[(k+1)*LANES+:LANES])
                                     ^ (bt & products1[k*LANES+:LANES]) ^ products1[(k+2)*LANES+:LANES]);
                pi[(1<<t)+s] = products1[k*LANES+:LANES] ^ products1[(k+1)*LANES+:LANES];
                k += 3;
            end
            pi[1<<t] = mt;
            for (int s = 0; s < (1 << t); s++) begin
                coef[(1<<t)+s] = coef[s];
                coef[s] &= at ^ bt;
            end
        end
        p_next = coef[0] & public1;
        for (int s = 1; s < 16; s++) p_next ^= coef[s] & pi[s];
    end

    always_ff @(posedge clk)
        if (go) begin
            g <= g_next ^ g_mask1;
            p <= p_next ^ p_mask1;
        end
endmodule

// prefix_inner: a node over four masked pairs (G, P) and the party's shares of their masks.
module prefix_inner #(
    parameter int LANES = 8,
    parameter int PRODUCTS = 22
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic                      in_valid,
    output logic                      in_ready,
    input  logic                      server,
    input  logic [4*LANES-1:0]        g_in,
    input  logic [4*LANES-1:0]        p_in,
    input  logic [4*LANES-1:0]        g_in_mask,
    input  logic [4*LANES-1:0]        p_in_mask,
    input  logic [PRODUCTS*LANES-1:0] products,
    input  logic [LANES-1:0]          g_mask,
    input  logic [LANES-1:0]          p_mask,
    output logic                      out_valid,
    input  logic                      out_ready,
    output logic [LANES-1:0]          g,
    output logic [LANES-1:0]          p
);
    typedef logic [LANES-1:0] plane;
    logic go;
    valid_line #(.DEPTH(2)) line (.*);
    assign in_ready = go;

    logic [4*LANES-1:0] g1, p1, g1_mask, p1_mask;
    logic [PRODUCTS*LANES-1:0] products1;
    plane g_mask1, p_mask1, public1;
    always_ff @(posedge clk)
        if (go) begin
            g1        <= g_in;
            p1        <= p_in;
            g1_mask   <= g_in_mask;
            p1_mask   <= p_in_mask;
            products1 <= products;
            g_mask1   <= g_mask;
            p_mask1   <= p_mask;
            public1   <= {LANES{server}};
        end

    logic [15:0][LANES-1:0] coef, pi;
    plane gt, pt, g_next, p_next;
    int k;
    always_comb begin
        for (int s = 0; s < 16; s++) begin
            coef[s] = '1;
            pi[s]   = '0;
        end
        g_next = '0;
        k = 0;
        for (int t = 0; t < 4; t++) begin
            gt = g1[(3-t)*LANES+:LANES];
            pt = p1[(3-t)*LANES+:LANES];
            g_next ^= coef[0] & ((gt & public1) ^ g1_mask[(3-t)*LANES+:LANES]);
            for (int s = 1; s < (1 << t); s++) g_next ^= coef[s] & ((gt & pi[s]) ^ products1[(k+s-1)*LANES+:LANES]);
            k += (1 << t) - 1;
            for (int s = 1; s < (1 << t); s++) pi[(1<<t)+s] = products1[(k+s-1)*LANES+:LANES];
            k += (1 << t) - 1;
            pi[1<<t] = p1_mask[(3-t)*LANES+:LANES];
            for (int s = 0; s < (1 << t); s++) begin
                coef[(1<<t)+s] = coef[s];
                coef[s] &= pt;
            end
        end
        p_next = coef[0] & public1;
        for (int s = 1; s < 16; s++) p_next ^= coef[s] & pi[s];
    end

    always_ff @(posedge clk)
        if (go) begin
            g <= g_next ^ g_mask1;
            p <= p_next ^ p_mask1;
        end
endmodule

// Selection, one element a cycle: the share of b x from the opened bit db = b ^ beta and the opened dx = x + delta,
//     b x = db (dx - delta) + (1 - 2 db) (beta dx - beta delta).      Latency 6 cycles, II = 1.
module select #(
    parameter int W = 32
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         in_valid,
    output logic         in_ready,
    input  logic         server,
    input  logic         db,
    input  logic [W-1:0] dx,
    input  logic [W-1:0] delta,
    input  logic [W-1:0] beta,
    input  logic [W-1:0] beta_delta,
    output logic         out_valid,
    input  logic         out_ready,
    output logic [W-1:0] out
);
    logic go;
    valid_line #(.DEPTH(6)) line (.*);
    assign in_ready = go;

    logic [W-1:0] product, masked, plain4, out5;
    logic [2:0][W-1:0] plain, share;
    logic [3:0] db_of;
    ring_mul #(.W(W)) mul (.clk, .go, .a(dx), .b(beta), .p(product));  // 1-3
    always_ff @(posedge clk)
        if (go) begin
            plain[0] <= db ? (server ? dx : '0) - delta : '0;
            share[0] <= beta_delta;
            db_of[0] <= db;
            for (int i = 1; i < 3; i++) begin
                plain[i] <= plain[i-1];
                share[i] <= share[i-1];
            end
            for (int i = 1; i < 4; i++) db_of[i] <= db_of[i-1];
            masked <= product - share[2];  // 4
            plain4 <= plain[2];
            out5   <= db_of[3] ? plain4 - masked : plain4 + masked;  // 5
            out    <= out5;  // 6
        end
endmodule
