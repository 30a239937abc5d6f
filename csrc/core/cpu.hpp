// Which instruction sets this process may use, decided once at run time.
//
// MOIETY_ISA=scalar|avx2|avx512 lowers the choice (never raises it above what the CPU has); the golden
// vector tests use set_isa() to run every path in one process.
#pragma once

#include <string>

namespace moiety {

enum class Isa { scalar = 0, avx2 = 1, avx512 = 2 };

struct CpuFeatures {
    bool avx2 = false;    // AVX2, FMA and BMI2
    bool avx512 = false;  // F, BW, CD, DQ and VL
    bool vbmi = false;    // AVX-512 VBMI and GFNI
    bool ifma = false;    // AVX-512 IFMA52
    bool aesni = false;   // AES-NI with SSSE3 and SSE4.1
    bool vaes = false;    // VAES on 512-bit registers
};

// Features of the CPU and operating system, whatever MOIETY_ISA says.
const CpuFeatures& cpu_features();

// The widest level that kernels may use now. Kernels that need vbmi, aesni, ... test `cpu().x`, which is
// cpu_features() with everything above the active level cleared (aesni survives down to avx2, vaes and vbmi need
// avx512).
Isa isa();
const CpuFeatures& cpu();

// Lowers or restores the active level; refused above what the CPU has. For tests; not thread-safe.
void set_isa(Isa level);
std::string isa_name(Isa level);

}  // namespace moiety
