// The kernels behind image.cpp, one table an instruction set.
#pragma once

#include <cstdint>

namespace moiety::topology {

// One image's part of Factors (image.hpp).
template <class T>
struct ImageTask {
    int64_t terms, side;
    const T* left;
    const T* right;
    const int32_t* count;
    const T* weight;
    const T* up;
};

template <class T>
struct ImageKernels {
    int64_t (*scratch)(int64_t terms, int64_t side);  // elements that either function needs in `space`
    void (*forward)(const ImageTask<T>& t, bool scaled, T* y, int64_t* places, T* scale, T* space);
    // y, places and scale are nullptr for an image that is not scaled.
    void (*backward)(const ImageTask<T>& t, const T* y, const int64_t* places, const T* scale, const T* dy, T* dleft,
                     T* dright, T* space);
};

template <class T>
const ImageKernels<T>& image_avx2();
template <class T>
const ImageKernels<T>& image_avx512();

}  // namespace moiety::topology
