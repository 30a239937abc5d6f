// The kernels behind softmax.cpp, one table an instruction set, for heads that divide the lanes of a vector: rows
// [begin, end).
#pragma once

#include <cstdint>

namespace moiety::graph {

struct SoftmaxTask {
    const int64_t* row_start;
    int64_t heads;
    const float* scores;  // forward; alpha for backward
    const float* dalpha;
    float* result;
};

struct SoftmaxKernels {
    int64_t lanes;
    void (*forward)(const SoftmaxTask& task, int64_t begin, int64_t end);
    void (*backward)(const SoftmaxTask& task, int64_t begin, int64_t end);
};

const SoftmaxKernels& softmax_avx2();
const SoftmaxKernels& softmax_avx512();

}  // namespace moiety::graph
