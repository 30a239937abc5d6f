#include "core/scratch.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace moiety {
namespace {

constexpr int64_t huge_page = int64_t{2} << 20;
constexpr int64_t firm_bytes = int64_t{256} << 20;  // what is kept beyond, the system may take

// A block that nobody uses begins with this: keeping it needs no memory.
struct Idle {
    Idle* older;
    int64_t size;
    bool lent = false;
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

void* allocate(int64_t alignment, int64_t size) {
    void* memory = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(size));
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

int64_t up_to(int64_t unit, int64_t bytes) { return (bytes + unit - 1) / unit * unit; }

bool small(int64_t bytes) { return bytes < huge_page / 2; }

// The system may take pages of the blocks behind the newest `firm_bytes`, until they are written to again. Their
// heads are written anew at once.
void lend([[maybe_unused]] Kept& k) {
#if defined(__linux__) && defined(MADV_FREE)
    int64_t bytes = 0;
    for (Idle* block = k.newest; block != nullptr; block = block->older) {
        if ((bytes += block->size) <= firm_bytes || block->lent) continue;
        const Idle head = *block;
        (void)madvise(block, static_cast<size_t>(block->size), MADV_FREE);  // refused by old ones
        new (block) Idle{head.older, head.size, true};
    }
#endif
}

}  // namespace

int64_t kept_limit() {
    static const int64_t limit = [] {
        int64_t memory = 0;
#if defined(__linux__)
        memory = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
#endif
        return std::max(firm_bytes, memory / 16);
    }();
    return limit;
}

void advise_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const auto first = (reinterpret_cast<uintptr_t>(memory) + huge_page - 1) / huge_page * huge_page;
    const auto last = (reinterpret_cast<uintptr_t>(memory) + static_cast<uintptr_t>(bytes)) / huge_page * huge_page;
    // Refused where the system has none: then they are ordinary pages.
    if (first < last) (void)madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

void* take_scratch(int64_t bytes, int64_t& size) {
    if (small(bytes)) return allocate(64, size = up_to(64, bytes));
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
    void* const memory = allocate(huge_page, size = up_to(huge_page, bytes));
    advise_huge_pages(memory, size);
    return memory;
}

void give_scratch(void* memory, int64_t size) {
    // A large one would drive out all others and not stay itself.
    if (small(size) || size > kept_limit()) return std::free(memory);
    Kept& k = kept();
    std::unique_lock guard(k.lock, std::try_to_lock);
    if (!guard) return std::free(memory);
    k.newest = new (memory) Idle{k.newest, size};
    Idle* const surplus = cut(k, kept_limit());
    lend(k);
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
