// What all kernels share: the ring, words of packed bits, beats of several ring elements, and moving them.
//
// MOIETY_RING (32 or 64) and MOIETY_LANES (elements a beat, a power of two) are chosen on the compiler's command line;
// they are the template arguments of the tops in src/, nothing in include/ depends on them.
#pragma once

#include <moiety/dataflow.hpp>

#ifndef MOIETY_RING
#define MOIETY_RING 64
#endif
#ifndef MOIETY_LANES
#define MOIETY_LANES 4
#endif

namespace moiety {

using word = ap_uint<64>;  // 64 bits of a plane, or eight bytes of a message, least significant first

template <int RING>
using element = ap_uint<RING>;

// The product in the ring: its upper half is never made.
template <int RING>
element<RING> times(element<RING> a, element<RING> b) {
#pragma HLS INLINE
    return element<RING>(a * b);
}

template <int RING, int LANES>
struct Beat {
    ap_uint<RING> lane[LANES];
};

// A tile of a comparison: what one pass of the bit-sliced circuit holds (csrc/mpc/circuit.hpp).
constexpr int tile_words = 64;
constexpr int tile_elements = 64 * tile_words;

constexpr int words_of(int n) { return (n + 63) / 64; }
constexpr int packed_bytes(int bits) { return (bits + 7) / 8; }
constexpr int packed_words(int n, int bits) { return (n * packed_bytes(bits) + 7) / 8; }
template <int LANES>
constexpr int beats_of(int n) {
    return (n + LANES - 1) / LANES;
}

// Memory to stream and back.
template <class T>
void read_all(const T* memory, int count, hls::stream<T>& out) {
read:
    for (int i = 0; i < count; ++i) {
#pragma HLS PIPELINE II = 1
        out.write(memory[i]);
    }
}
template <class T>
void write_all(hls::stream<T>& in, int count, T* memory) {
write:
    for (int i = 0; i < count; ++i) {
#pragma HLS PIPELINE II = 1
        memory[i] = in.read();
    }
}
template <class T>
void copy_all(hls::stream<T>& in, int count, hls::stream<T>& out) {
copy:
    for (int i = 0; i < count; ++i) {
#pragma HLS PIPELINE II = 1
        out.write(in.read());
    }
}

}  // namespace moiety
