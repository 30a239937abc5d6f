#include "core/cpu.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "core/check.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace moiety {
namespace {

CpuFeatures detect() {
    CpuFeatures f;
#if defined(__x86_64__)
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return f;
    const bool sse = (ecx >> 9 & 1) && (ecx >> 19 & 1), aes = ecx >> 25 & 1, fma = ecx >> 12 & 1;
    const bool xsave = ecx >> 27 & 1, avx = ecx >> 28 & 1;
    f.aesni = sse && aes;
    // The CPU may know wide registers that the operating system does not save on a context switch.
    uint32_t saved = 0, saved_high = 0;
    if (xsave) __asm__("xgetbv" : "=a"(saved), "=d"(saved_high) : "c"(0));
    const bool saves_ymm = (saved & 0x06) == 0x06, saves_zmm = (saved & 0xe6) == 0xe6;
    if (!avx || !saves_ymm || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return f;
    f.avx2 = (ebx >> 5 & 1) && (ebx >> 8 & 1) && fma;
    const bool foundation = ebx >> 16 & 1, dq = ebx >> 17 & 1, cd = ebx >> 28 & 1, bw = ebx >> 30 & 1,
               vl = ebx >> 31 & 1;
    f.avx512 = f.avx2 && saves_zmm && foundation && dq && cd && bw && vl;
    f.ifma = f.avx512 && (ebx >> 21 & 1);
    f.vbmi = f.avx512 && (ecx >> 1 & 1) && (ecx >> 8 & 1);
    f.vaes = f.avx512 && f.aesni && (ecx >> 9 & 1);
#endif
    return f;
}

Isa widest() {
    const CpuFeatures& f = cpu_features();
    return f.avx512 ? Isa::avx512 : f.avx2 ? Isa::avx2 : Isa::scalar;
}

Isa initial() {
    const char* wanted = std::getenv("MOIETY_ISA");
    if (wanted == nullptr || *wanted == '\0') return widest();
    for (Isa level : {Isa::scalar, Isa::avx2, Isa::avx512})
        if (isa_name(level) == wanted) return level < widest() ? level : widest();
    check(false, "MOIETY_ISA: expected scalar, avx2 or avx512, got '", wanted, "'");
    return Isa::scalar;
}

std::atomic<Isa>& active() {
    static std::atomic<Isa> level{initial()};
    return level;
}

}  // namespace

const CpuFeatures& cpu_features() {
    static const CpuFeatures features = detect();
    return features;
}

Isa isa() { return active().load(std::memory_order_relaxed); }

const CpuFeatures& cpu() {
    static const std::array<CpuFeatures, 3> by_level = [] {
        std::array<CpuFeatures, 3> levels;
        levels[2] = cpu_features();
        levels[1].avx2 = levels[2].avx2;
        levels[1].aesni = levels[2].aesni;
        return levels;
    }();
    return by_level[static_cast<size_t>(isa())];
}

void set_isa(Isa level) {
    check(level <= widest(), "set_isa: this CPU and operating system allow at most ", isa_name(widest()), ", got ",
          isa_name(level));
    active().store(level, std::memory_order_relaxed);
}

std::string isa_name(Isa level) {
    switch (level) {
        case Isa::avx512: return "avx512";
        case Isa::avx2: return "avx2";
        case Isa::scalar: break;
    }
    return "scalar";
}

}  // namespace moiety
