// The kernel behind gate.cpp, one an instruction set: rows [begin, end).
#pragma once

#include "graph/gate.hpp"

namespace moiety::graph {

template <class T>
struct GateTask {
    const int64_t* row_start;
    int64_t edges;
    const int32_t* narrow;  // numbers of columns, of 32 bits or of 64
    const int64_t* wide;
    const T* own;
    const T* other;
    const T* values;
    T* sum;
    T* rise;
    int64_t width;

    int64_t column(int64_t e) const { return narrow != nullptr ? narrow[e] : wide[e]; }
};

using GateKernel = void (*)(const GateTask<float>& task, int64_t begin, int64_t end);

GateKernel gate_avx2();
GateKernel gate_avx512();

}  // namespace moiety::graph
