// Long sequences of snapshots: cells are made, matched and reduced some steps at a time.
#pragma once

#include "topology/barcode.hpp"
#include "topology/flag.hpp"

namespace moiety::topology {

// The bars of `timed_graph(snapshots, mode)`'s flag complexes, as `barcode` would find them. In mode code memory does
// not grow with the number of steps beyond the bars: a snapshot's cells have one lifetime, so matching leaves the same
// of them whether or not more of the sequence is known, and steps are taken `chunk` at a time, the last of a chunk
// being made again as the first of the next.
Bars series_barcode(const Snapshots& snapshots, Mode mode, const BarcodeOptions& options, int32_t chunk, Work& work);

}  // namespace moiety::topology
