// Large buffers that are read at random: on huge pages, and kept for the next call.
//
// A row of features costs an address translation when it lies on a page of its own, and on 4 KiB pages a few megabytes
// of rows are more pages than the translation cache holds; in a virtual machine each miss walks two tables. On pages of
// 2 MiB there are few to know. Pages fresh from the system are zeroed first, which for a result as large as what it is
// made of is a good part of the work, so blocks of at most `kept_limit()` together stay with the process: 256 MiB, and
// more that the system may take back when it runs short. Small blocks are the C library's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace moiety {

// A sixteenth of the machine's memory, and at least 256 MiB.
int64_t kept_limit();

// `bytes` of memory, uninitialised and aligned to 64 bytes, or to a huge page from half of one on; `size` becomes what
// there really is. From any thread. Throws std::bad_alloc.
void* take_scratch(int64_t bytes, int64_t& size);
void give_scratch(void* block, int64_t size);
// Frees all that is kept; returns how many bytes that was.
int64_t free_kept();

// Asks for huge pages where the memory lies that was just allocated and not yet written: whoever reads it at random
// will be glad. Does nothing for small sizes and on systems without them.
void advise_huge_pages(void* memory, int64_t bytes);

// Rows read at random that are more than this together are worth a copy onto huge pages: on small ones translation
// caches do not know them.
constexpr int64_t packing_bytes = int64_t{12} << 20;

template <class T>
class Scratch {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    Scratch() = default;
    explicit Scratch(int64_t count) : count_(count) {
        if (count > 0) block_ = take_scratch(count * static_cast<int64_t>(sizeof(T)), bytes_);
    }
    Scratch(Scratch&& other) noexcept { *this = std::move(other); }
    Scratch& operator=(Scratch&& other) noexcept {
        std::swap(block_, other.block_);
        std::swap(bytes_, other.bytes_);
        std::swap(count_, other.count_);
        return *this;
    }
    ~Scratch() {
        if (block_ != nullptr) give_scratch(block_, bytes_);
    }

    T* data() { return static_cast<T*>(block_); }
    const T* data() const { return static_cast<const T*>(block_); }
    int64_t size() const { return count_; }
    T& operator[](int64_t i) { return data()[i]; }
    const T& operator[](int64_t i) const { return data()[i]; }

  private:
    void* block_ = nullptr;
    int64_t bytes_ = 0, count_ = 0;
};

}  // namespace moiety
