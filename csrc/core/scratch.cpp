#include "core/scratch.hpp"

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace moiety {
namespace {

constexpr int64_t huge_page = int64_t{2} << 20;

// A block that nobody uses begins with this: keeping it needs no memory.
struct Idle {
    Idle* older;
    int64_t size;
};

// Nobody waits for the lock: who does not get it does without, also in a child forked while another thread held it.
struct Kept {
    std::mutex lock;
    Idle* newest = nullptr;
};

// Never destroyed: results of the last call may be given back while the process ends.
Kept& kept() {
    static Kept& all = *new Kept;
    return all;
}

// Cuts the list behind the newest blocks of `most` bytes together; returns the rest.
Idle* cut(Kept& k, int64_t most) {
    Idle** at = &k.newest;
    for (int64_t bytes = 0; *at != nullptr && (bytes += (*at)->size) <= most; at = &(*at)->older) continue;
    return std::exchange(*at, nullptr);
}

int64_t free_all(Idle* block) {
    int64_t bytes = 0;
    while (block != nullptr) {
        bytes += block->size;
        std::free(std::exchange(block, block->older));
    }
    return bytes;
}

void* map(int64_t size) {
    void* memory = std::aligned_alloc(static_cast<size_t>(huge_page), static_cast<size_t>(size));
    if (memory == nullptr) throw std::bad_alloc();
    advise_huge_pages(memory, size);
    return memory;
}

}  // namespace

void advise_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const auto first = (reinterpret_cast<uintptr_t>(memory) + huge_page - 1) / huge_page * huge_page;
    const auto last = (reinterpret_cast<uintptr_t>(memory) + static_cast<uintptr_t>(bytes)) / huge_page * huge_page;
    // Refused where the system has none: then they are ordinary pages.
    if (first < last) (void)madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

void* take_scratch(int64_t bytes, int64_t& size) {
    Kept& k = kept();
    if (const std::unique_lock guard(k.lock, std::try_to_lock); guard) {
        // The least that is enough, and not so large that most of it would lie idle.
        Idle** best = nullptr;
        for (Idle** at = &k.newest; *at != nullptr; at = &(*at)->older)
            if ((*at)->size >= bytes && (*at)->size <= 2 * bytes + huge_page &&
                (best == nullptr || (*at)->size < (*best)->size))
                best = at;
        if (best != nullptr) {
            size = (*best)->size;
            return std::exchange(*best, (*best)->older);
        }
    }
    size = (bytes + huge_page - 1) / huge_page * huge_page;
    return map(size);
}

void give_scratch(void* memory, int64_t size) {
    if (size > kept_bytes) return std::free(memory);  // it would drive out all others and not stay itself
    Kept& k = kept();
    std::unique_lock guard(k.lock, std::try_to_lock);
    if (!guard) return std::free(memory);
    k.newest = new (memory) Idle{k.newest, size};
    Idle* const surplus = cut(k, kept_bytes);
    guard.unlock();
    free_all(surplus);
}

int64_t free_kept() {
    Kept& k = kept();
    std::unique_lock guard(k.lock, std::try_to_lock);
    Idle* const all = guard ? cut(k, 0) : nullptr;
    if (guard) guard.unlock();
    return free_all(all);
}

}  // namespace moiety
