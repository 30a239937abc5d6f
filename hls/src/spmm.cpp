#include <moiety/tops.hpp>

// Rows and columns that lie on the chip.
#ifndef MOIETY_NODES
#define MOIETY_NODES 4096
#endif

void spmm(const Element* x, const ap_uint<32>* indptr, const ap_uint<32>* indices, const Element* values,
          moiety::Sparse matrix, int channels, Element* y) {
#pragma HLS INTERFACE m_axi port = x bundle = inputs
#pragma HLS INTERFACE m_axi port = indptr bundle = rows
#pragma HLS INTERFACE m_axi port = indices bundle = pattern
#pragma HLS INTERFACE m_axi port = values bundle = coefficients
#pragma HLS INTERFACE m_axi port = y bundle = outputs
#pragma HLS INTERFACE s_axilite port = matrix
#pragma HLS INTERFACE s_axilite port = channels
#pragma HLS INTERFACE s_axilite port = return
    moiety::sparse_product<MOIETY_RING, MOIETY_LANES, MOIETY_NODES, ap_uint<32>>(x, indptr, indices, values, matrix,
                                                                                 channels, y);
}
