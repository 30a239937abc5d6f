#include "core/scratch.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace moiety {
namespace {

constexpr int64_t huge_page = int64_t{2} << 20;

struct Block {
    void* memory = nullptr;
    int64_t size = 0;
};

// The block that is kept. A slot is claimed by taking its pointer out; nobody waits.
std::atomic<Block*>& slot() {
    static std::atomic<Block*> kept{nullptr};
    return kept;
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
    if (Block* kept = slot().exchange(nullptr)) {
        const Block block = *kept;
        delete kept;
        if (block.size >= bytes) {
            size = block.size;
            return block.memory;
        }
        std::free(block.memory);
    }
    size = (bytes + huge_page - 1) / huge_page * huge_page;
    return map(size);
}

void give_scratch(void* memory, int64_t size) {
    Block* block = size <= kept_scratch_bytes ? new (std::nothrow) Block{memory, size} : nullptr;
    if (block == nullptr) return std::free(memory);
    block = slot().exchange(block);
    if (block == nullptr) return;
    std::free(block->memory);
    delete block;
}

}  // namespace moiety
