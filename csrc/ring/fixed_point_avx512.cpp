// GCC 12 takes the undefined pass-through operand inside its own intrinsics for a mistake of ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "ring/fixed_point_kernels.hpp"

namespace moiety::ring {
namespace {

inline __mmask8 first(int64_t count) { return static_cast<__mmask8>(count >= 8 ? 0xff : (1u << count) - 1); }

inline __m512d load(const double* p, __mmask8 mask) { return _mm512_maskz_loadu_pd(mask, p); }
inline __m512d load(const float* p, __mmask8 mask) { return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, p)); }
inline __m512i load(const uint64_t* p, __mmask8 mask) { return _mm512_maskz_loadu_epi64(mask, p); }
inline __m512i load(const uint32_t* p, __mmask8 mask) {
    return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, p));
}
inline void store(double* p, __mmask8 mask, __m512d v) { _mm512_mask_storeu_pd(p, mask, v); }
inline void store(float* p, __mmask8 mask, __m512d v) { _mm256_mask_storeu_ps(p, mask, _mm512_cvtpd_ps(v)); }
inline void store(uint64_t* p, __mmask8 mask, __m512i v) { _mm512_mask_storeu_epi64(p, mask, v); }
inline void store(uint32_t* p, __mmask8 mask, __m512i v) {
    _mm256_mask_storeu_epi32(p, mask, _mm512_cvtepi64_epi32(v));
}

template <class T, class F>
inline int64_t encode_vectors(const F* x, double factor, T* out, int64_t n) {
    const double half_range = sizeof(T) == 8 ? 0x1p63 : 0x1p31;
    const __m512d least = _mm512_set1_pd(-half_range), limit = _mm512_set1_pd(half_range);
    for (int64_t i = 0; i < n; i += 8) {
        const __mmask8 mask = first(n - i);
        const __m512d scaled = _mm512_mul_pd(load(x + i, mask), _mm512_set1_pd(factor));
        const __m512d rounded = _mm512_roundscale_pd(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        // Ordered comparisons are false of NaN.
        const __mmask8 good =
            _mm512_cmp_pd_mask(rounded, least, _CMP_GE_OQ) & _mm512_cmp_pd_mask(rounded, limit, _CMP_LT_OQ);
        if (good != 0xff) return i + __builtin_ctz(static_cast<unsigned>(~good & 0xff));
        store(out + i, mask, _mm512_cvtpd_epi64(rounded));
    }
    return n;
}

template <class T, class F>
inline void decode_vectors(const T* x, double factor, F* out, int64_t n) {
    for (int64_t i = 0; i < n; i += 8) {
        const __mmask8 mask = first(n - i);
        store(out + i, mask, _mm512_mul_pd(_mm512_cvtepi64_pd(load(x + i, mask)), _mm512_set1_pd(factor)));
    }
}

}  // namespace

template <class T, class F>
int64_t encode_avx512(const F* x, double factor, T* out, int64_t n) {
    return encode_vectors(x, factor, out, n);
}
template <class T, class F>
void decode_avx512(const T* x, double factor, F* out, int64_t n) {
    decode_vectors(x, factor, out, n);
}

template int64_t encode_avx512(const float*, double, uint32_t*, int64_t);
template int64_t encode_avx512(const float*, double, uint64_t*, int64_t);
template int64_t encode_avx512(const double*, double, uint32_t*, int64_t);
template int64_t encode_avx512(const double*, double, uint64_t*, int64_t);
template void decode_avx512(const uint32_t*, double, float*, int64_t);
template void decode_avx512(const uint64_t*, double, float*, int64_t);
template void decode_avx512(const uint32_t*, double, double*, int64_t);
template void decode_avx512(const uint64_t*, double, double*, int64_t);

}  // namespace moiety::ring
