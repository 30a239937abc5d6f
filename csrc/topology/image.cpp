#include "topology/image.hpp"

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "core/scratch.hpp"
#include "topology/image_kernel.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace moiety::topology {
namespace {

// While one lives, numbers below the least normal one count as 0 on its thread. Far from a bar a Gaussian in float32 is
// such a number, and a product with one takes the processor a hundred times as long.
class NoDenormals {
  public:
    NoDenormals(const NoDenormals&) = delete;
    NoDenormals& operator=(const NoDenormals&) = delete;
#if defined(__x86_64__)
    NoDenormals() { _mm_setcsr(before_ | 0x8040); }
    ~NoDenormals() { _mm_setcsr(before_); }

  private:
    const unsigned before_ = _mm_getcsr();
#else
    NoDenormals() = default;
#endif
};

template <class T>
const ImageKernels<T>& kernels() {
#if defined(__x86_64__)
    if (isa() == Isa::avx512) return image_avx512<T>();
    if (isa() == Isa::avx2) return image_avx2<T>();
#endif
    return ImageKernel<T, 16>::table;
}

// body(b, task, space) for every image b.
template <class T, class Body>
void for_images(const Factors<T>& f, int threads, const Body& body) {
    const ImageKernels<T>& kernel = kernels<T>();
    for (int64_t b = 0; f.own != nullptr && b < f.images; ++b)
        check(f.own[b] >= 0 && f.own[b] < f.rights, "images: expected own in [0, ", f.rights, "), got ", f.own[b],
              " for image ", b);
    check(f.own != nullptr || f.rights == f.images, "images: expected a right factor for each of ", f.images,
          " images, got ", f.rights);
    const int64_t step = f.terms * f.side;
    parallel_for(f.images, 1, threads, [&](int64_t begin, int64_t end) {
        const NoDenormals here;
        Scratch<T> space(kernel.scratch(f.terms, f.side));
        for (int64_t b = begin; b < end; ++b) {
            const int64_t g = f.own == nullptr ? b : f.own[b];
            const bool counted = f.count != nullptr;
            body(b,
                 ImageTask<T>{f.terms, f.side, counted ? nullptr : f.left + b * step, f.right + g * step,
                              counted ? f.count + b * f.terms * f.terms : nullptr, f.weight,
                              counted ? f.up + g * step : nullptr},
                 space.data());
        }
    });
}

}  // namespace

template <class T>
void render(const Factors<T>& f, bool scaled, T* y, int64_t* at, T* scale, int threads) {
    const ImageKernels<T>& kernel = kernels<T>();
    const int64_t pixels = f.side * f.side;
    for_images(f, threads, [&](int64_t b, const ImageTask<T>& task, T* space) {
        kernel.forward(task, scaled, y + b * pixels, at == nullptr ? nullptr : at + 2 * b,
                       scale == nullptr ? nullptr : scale + b, space);
    });
}

template <class T>
void render_backward(const Factors<T>& f, const T* y, const int64_t* at, const T* scale, const T* dy, T* dleft,
                     T* dright, int threads) {
    const ImageKernels<T>& kernel = kernels<T>();
    const int64_t pixels = f.side * f.side, step = f.terms * f.side;
    for_images(f, threads, [&](int64_t b, const ImageTask<T>& task, T* space) {
        const bool scaled = scale != nullptr;
        kernel.backward(task, scaled ? y + b * pixels : nullptr, scaled ? at + 2 * b : nullptr,
                        scaled ? scale + b : nullptr, dy + b * pixels, dleft + b * step, dright + b * step, space);
    });
}

template void render(const Factors<float>&, bool, float*, int64_t*, float*, int);
template void render(const Factors<double>&, bool, double*, int64_t*, double*, int);
template void render_backward(const Factors<float>&, const float*, const int64_t*, const float*, const float*, float*,
                              float*, int);
template void render_backward(const Factors<double>&, const double*, const int64_t*, const double*, const double*,
                              double*, double*, int);

}  // namespace moiety::topology
