// A cycle for every bar, by walking through the sequence with a basis of cycles of the complex at hand.
//
// G. Carlsson, V. de Silva and D. Morozov, Zigzag persistent homology and real-valued functions (SoCG 2009), kept as
// C. Maria and S. Oudot do (Zigzag persistence via reflections and transpositions, SODA 2015): for the complex at hand,
// cycles that live, each with its birth, in the order of the flag of the past (see coned.hpp); cycles z = dh that
// bound, with h; all with different last cells. A cell that enters makes a new cycle or lets the last living one of
// those that its boundary is the sum of bound. A cell that leaves, if living cycles hold it, takes the first of them,
// which is added to the others; if none does, the boundary of a chain that holds it comes to life, first of all in the
// order.
//
// Linear in the length of the sequence, cubic in the size of a complex: for looking at bars, and the engine's second
// opinion.
#pragma once

#include <vector>

#include "topology/cells.hpp"
#include "topology/chain.hpp"

namespace moiety::topology {

// As `barcode`, in order of death; cycle k lies in K_last of bar k, does not bound there, and is what the bar's summand
// is spanned by at that position in one decomposition of the module.
struct BarsWithCycles {
    Bars bars;
    std::vector<Chain> cycles;
};

BarsWithCycles bars_with_cycles(const Cells& cells, int max_dimension);

}  // namespace moiety::topology
