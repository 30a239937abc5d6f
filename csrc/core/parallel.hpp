// The one way to use more than one thread.
#pragma once

#include <cstdint>
#include <functional>

namespace moiety {

// MOIETY_NUM_THREADS when it is a positive integer, else the number of CPUs this process may run on.
int default_threads();

// Calls body(begin, end) on disjoint ranges that cover [0, n), each of at least `grain` items but the last,
// on at most `threads` threads (<= 0: default_threads()); the caller's thread takes part. Runs inline when one
// range suffices. The first exception thrown by a body is rethrown here after all ranges have ended.
void parallel_for(int64_t n, int64_t grain, int threads, const std::function<void(int64_t, int64_t)>& body);

}  // namespace moiety
