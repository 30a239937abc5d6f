// The kernels behind sddmm.cpp, one an instruction set: rows [begin, end).
#pragma once

#include "graph/sddmm.hpp"

namespace moiety::graph {

template <class T, class I>
struct SddmmTask {
    Csr<I> a;
    const T* x;
    const T* y;
    Weight<T>* result;
    int64_t heads, head_width;
};

template <class T, class I>
using SddmmKernel = void (*)(const SddmmTask<T, I>& task, int64_t begin, int64_t end);

template <class T, class I>
SddmmKernel<T, I> sddmm_avx2();
template <class T, class I>
SddmmKernel<T, I> sddmm_avx512();

}  // namespace moiety::graph
