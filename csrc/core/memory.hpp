// How this process gets memory from the system.
#pragma once

namespace moiety {

// Keeps freed memory for the next allocation instead of handing it back: a party allocates the same large buffers for
// every layer, and fetching fresh zeroed pages each time would cost more than the work on them. For processes that do
// nothing else.
void retain_memory();

}  // namespace moiety
