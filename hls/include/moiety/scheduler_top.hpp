// The scheduler at the sizes of the command line: one board. The test bench makes two of them.
#pragma once

#include <moiety/scheduler.hpp>

#ifndef MOIETY_OUT
#define MOIETY_OUT 8
#endif
#ifndef MOIETY_SLOTS
#define MOIETY_SLOTS 16
#endif
#ifndef MOIETY_SLOT_WORDS
#define MOIETY_SLOT_WORDS 8192
#endif
#ifndef MOIETY_CONTEXTS
#define MOIETY_CONTEXTS 16
#endif
#ifndef MOIETY_NODES
#define MOIETY_NODES 4096
#endif

namespace moiety {

using TopBoard = Board<MOIETY_RING, MOIETY_SLOTS, MOIETY_SLOT_WORDS, MOIETY_CONTEXTS>;

inline Status run_board(bool offline, bool server, const word32* schedule, const word32* operations, const word* bits,
                        element<MOIETY_RING>* memory, TopBoard& board, hls::stream<word>& to_peer,
                        hls::stream<word>& from_peer, int& failed) {
    if (offline) {
        failed = -1;
        const Status tables = check_tables(schedule, operations, MOIETY_RING);
        if (tables == done) offline_products<MOIETY_RING, MOIETY_OUT, MOIETY_LANES>(operations, memory);
        return tables;
    }
    return run_schedule<MOIETY_RING, MOIETY_OUT, MOIETY_LANES, MOIETY_SLOTS, MOIETY_SLOT_WORDS, MOIETY_CONTEXTS,
                        MOIETY_NODES>(server, schedule, operations, bits, memory, board, to_peer, from_peer, failed);
}

}  // namespace moiety

extern "C" {

// offline: the client's products before an inference; else the whole schedule at one party. Returns a moiety::Status.
int scheduler(bool offline, bool server, const moiety::word32* schedule, const moiety::word32* operations,
              const moiety::word* bits, moiety::element<MOIETY_RING>* memory, hls::stream<moiety::word>& to_peer,
              hls::stream<moiety::word>& from_peer, int* failed);
}
