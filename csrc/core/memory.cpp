#include "core/memory.hpp"

#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#endif

namespace moiety {

void retain_memory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace moiety
