#include <immintrin.h>

#include "hypergraph/pairs_kernel.hpp"

namespace moiety::hypergraph {
namespace {

inline __m512d load(const float* row) { return _mm512_cvtps_pd(_mm256_loadu_ps(row)); }
inline __m512d load(const double* row) { return _mm512_loadu_pd(row); }

// add_up of eight rows' partial sums, in the order of rows.
inline __m512d add_up_rows(const __m512d* s) {
    const auto halves = [](__m512d a, __m512d b) {  // s0 + s4 .. s3 + s7 of a, then of b
        return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x44), _mm512_shuffle_f64x2(a, b, 0xEE));
    };
    const auto quarters = [](__m512d a, __m512d b) {
        return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xDD));
    };
    const __m512d low = quarters(halves(s[0], s[1]), halves(s[2], s[3]));
    const __m512d high = quarters(halves(s[4], s[5]), halves(s[6], s[7]));
    const __m512d mixed = _mm512_add_pd(_mm512_unpacklo_pd(low, high), _mm512_unpackhi_pd(low, high));
    return _mm512_permutexvar_pd(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), mixed);
}

// project, eight rows at a time: adding up partial sums across a vector is most of the work for a row of 16.
template <class T>
void project_rows(const T* signal, int64_t width, const double* direction, double* projection, int64_t begin,
                  int64_t end) {
    constexpr int64_t rows = 8;
    int64_t v = begin;
    if (width % partial_sums == 0)
        for (; v + rows <= end; v += rows) {
            __m512d sum[rows];
            for (__m512d& s : sum) s = _mm512_setzero_pd();
            for (int64_t f = 0; f < width; f += partial_sums) {
                const __m512d along = _mm512_loadu_pd(direction + f);
                for (int64_t r = 0; r < rows; ++r)
                    sum[r] = _mm512_add_pd(sum[r], _mm512_mul_pd(load(signal + (v + r) * width + f), along));
            }
            _mm512_storeu_pd(projection + v, add_up_rows(sum));
        }
    project(signal, width, direction, projection, v, end);
}

// extremes, up to eight members as one vector: where a short loop ends is hard to foresee.
void extremes_at_once(const Csr<int32_t>& members, const double* place, int64_t begin, int64_t end, int32_t* first,
                      int32_t* second) {
    constexpr int64_t lanes = 8;
    const int64_t last = members.edges() - places_ahead - lanes;
    for (int64_t e = begin; e < end; ++e) {
        const int64_t start = members.row_start[e], size = members.row_start[e + 1] - start;
        if (size > lanes) {
            extremes_of(members, place, e, first, second);
            continue;
        }
        const int32_t* const member = members.column + start;
        if (start < last)
            for (int64_t k = 0; k < lanes; ++k) __builtin_prefetch(place + member[places_ahead + k], 0, 2);
        const auto lane = static_cast<__mmask8>((1u << size) - 1);
        const __m512d own =
            _mm512_mask_i32gather_pd(_mm512_setzero_pd(), lane, _mm256_maskz_loadu_epi32(lane, member), place, 8);
        const double high = _mm512_mask_reduce_max_pd(lane, own), low = _mm512_mask_reduce_min_pd(lane, own);
        const auto at = [&](double value) {
            return member[__builtin_ctz(_mm512_mask_cmp_pd_mask(lane, own, _mm512_set1_pd(value), _CMP_EQ_OQ))];
        };
        first[e] = at(high);
        second[e] = at(low);
    }
}

// mark, up to 16 members as one vector.
int64_t mark_at_once(const Csr<int32_t>& members, const int64_t* place, const int32_t* first, const int32_t* second,
                     int64_t begin, int64_t end, uint8_t* at_end) {
    constexpr int64_t lanes = 16;
    for (int64_t e = begin; e < end; ++e) {
        const int64_t start = members.row_start[e], size = members.row_start[e + 1] - start;
        if (size > lanes) {
            if (!mark_of(members, place, e, first[e], second[e], at_end)) return e;
            continue;
        }
        const auto lane = static_cast<__mmask16>((1u << size) - 1);
        const __m512i member = _mm512_maskz_loadu_epi32(lane, members.column + start);
        const auto at = [&](int32_t node) {
            return static_cast<uint32_t>(_mm512_mask_cmpeq_epi32_mask(lane, member, _mm512_set1_epi32(node)));
        };
        const uint32_t one = at(first[e]), other = at(second[e]);
        if (one == 0 || other == 0) return e;
        at_end[place[start + __builtin_ctz(one)]] = at_end[place[start + __builtin_ctz(other)]] = 1;
    }
    return end;
}

template <class T>
constexpr PairsKernels<T> kernels_avx512 = {project_rows<T>, extremes_at_once, mark_at_once, squared_distance<T>};

}  // namespace

template <>
const PairsKernels<float>& pairs_avx512() {
    return kernels_avx512<float>;
}
template <>
const PairsKernels<double>& pairs_avx512() {
    return kernels_avx512<double>;
}

}  // namespace moiety::hypergraph
