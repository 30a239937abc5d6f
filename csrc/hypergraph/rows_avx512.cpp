#include <immintrin.h>

#include "hypergraph/merge.hpp"

namespace moiety::hypergraph {
namespace {

// A row of up to so many entries is one vector; longer ones go entry by entry.
constexpr int64_t lanes = 16;

inline uint32_t first_lanes(int64_t count) { return (uint32_t{1} << count) - 1; }  // count <= 16

inline void fill_eight(float* p, float w) { _mm256_storeu_ps(p, _mm256_set1_ps(w)); }
inline void fill_eight(double* p, double w) { _mm512_storeu_pd(p, _mm512_set1_pd(w)); }

// The weights of a row's entries.
template <class T>
struct Values;

template <>
struct Values<float> {
    __m512 all;

    Values(const float* from, uint32_t m) : all(_mm512_maskz_loadu_ps(static_cast<__mmask16>(m), from)) {}
    void add(int to, int from) {
        const __m512 more = _mm512_permutexvar_ps(_mm512_set1_epi32(from), all);
        all = _mm512_mask_add_ps(all, static_cast<__mmask16>(1u << to), all, more);
    }
    // Times scale_row * scale[column], those of `keep` next to each other.
    void store(float* to, uint32_t m, uint32_t keep, __m512i column, const Slot<float>* slot, float scale_row) const {
        const __m512 theirs = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), static_cast<__mmask16>(m), column,
                                                       &slot->scale, sizeof(Slot<float>));
        const __m512 scaled = _mm512_mul_ps(all, _mm512_mul_ps(_mm512_set1_ps(scale_row), theirs));
        _mm512_mask_storeu_ps(to, static_cast<__mmask16>(first_lanes(__builtin_popcount(keep))),
                              _mm512_maskz_compress_ps(static_cast<__mmask16>(keep), scaled));
    }
};

template <>
struct Values<double> {
    __m512d low, high;

    Values(const double* from, uint32_t m)
        : low(_mm512_maskz_loadu_pd(static_cast<__mmask8>(m), from)),
          high(_mm512_maskz_loadu_pd(static_cast<__mmask8>(m >> 8), from + 8)) {}
    void add(int to, int from) {
        const __m512d more = _mm512_permutex2var_pd(low, _mm512_set1_epi64(from), high);
        low = _mm512_mask_add_pd(low, static_cast<__mmask8>(1u << to), low, more);
        high = _mm512_mask_add_pd(high, static_cast<__mmask8>(1u << to >> 8), high, more);
    }
    void store(double* to, uint32_t m, uint32_t keep, __m512i column, const Slot<double>* slot,
               double scale_row) const {
        const auto half = [&](double* p, __m512d value, __m256i columns, uint32_t lane, uint32_t kept) {
            // Slots are 16 bytes and vectors step by 8 at most.
            const __m512d theirs =
                _mm512_mask_i64gather_pd(_mm512_setzero_pd(), static_cast<__mmask8>(lane),
                                         _mm512_slli_epi64(_mm512_cvtepi32_epi64(columns), 1), &slot->scale, 8);
            const __m512d scaled = _mm512_mul_pd(value, _mm512_mul_pd(_mm512_set1_pd(scale_row), theirs));
            const int count = __builtin_popcount(kept);
            _mm512_mask_storeu_pd(p, static_cast<__mmask8>(first_lanes(count)),
                                  _mm512_maskz_compress_pd(static_cast<__mmask8>(kept), scaled));
            return p + count;
        };
        to = half(to, low, _mm512_castsi512_si256(column), m & 0xff, keep & 0xff);
        half(to, high, _mm512_extracti64x4_epi64(column, 1), m >> 8, keep >> 8);
    }
};

template <class T>
int64_t list(const Hypergraph& h, const Star<T>* star, int64_t begin, int64_t end, int64_t enough, int64_t* row_end,
             List<T> list) {
    return list_rows(h, star, begin, end, enough, row_end, list, [=](const Part<T>& part, int64_t v, int64_t at) {
        const __m256i own = _mm256_set1_epi32(static_cast<int32_t>(v));
        const auto put = [&](uint32_t lane, const int32_t* from) {
            const __m256i columns = _mm256_maskz_loadu_epi32(static_cast<__mmask8>(lane), from);
            const __mmask8 kept = _mm256_mask_cmpneq_epi32_mask(static_cast<__mmask8>(lane), columns, own);
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(list.column + at),
                                _mm256_maskz_compress_epi32(kept, columns));
            fill_eight(list.value + at, part.weight);
            at += __builtin_popcount(kept);
        };
        int64_t k = 0;
        if (part.count > 8) [[unlikely]]
            for (; k + 8 < part.count; k += 8) put(0xff, part.column + k);
        put(_bzhi_u32(0xff, static_cast<uint32_t>(part.count - k)), part.column + k);
        return at;
    });
}

template <class T>
int64_t add_up(Slot<T>* slot, int64_t begin, int64_t end, List<T> list, int64_t from, int64_t to, int64_t* row_end,
               int32_t* column, T* value) {
    for (int64_t v = begin; v < end; ++v) {
        const int64_t behind = row_end[v + 1], count = behind - from;
        if (count > lanes) {
            to = add_up_row(slot, v, list, from, behind, to, column, value);
        } else {
            const uint32_t m = first_lanes(count);
            const __m512i columns = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(m), list.column + from);
            Values<T> values(list.value + from, m);
            // Bit i of lane j: column i is the same and i < j.
            const __m512i same = _mm512_maskz_conflict_epi32(static_cast<__mmask16>(m), columns);
            const uint32_t again = _mm512_test_epi32_mask(same, same), keep = m & ~again;
            if (again != 0) {
                alignas(64) uint32_t before[lanes];
                _mm512_store_si512(before, same);
                for (uint32_t left = again; left != 0; left &= left - 1) {
                    const int j = __builtin_ctz(left);
                    values.add(__builtin_ctz(before[j]), j);
                }
            }
            values.store(value + to, m, keep, columns, slot, slot[v].scale);
            const int kept = __builtin_popcount(keep);
            _mm512_mask_storeu_epi32(column + to, static_cast<__mmask16>(first_lanes(kept)),
                                     _mm512_maskz_compress_epi32(static_cast<__mmask16>(keep), columns));
            to += kept;
        }
        from = behind;
        row_end[v + 1] = to;
    }
    return to;
}

template <class T>
constexpr RowKernels<T> kernels_avx512 = {list<T>, add_up<T>};

}  // namespace

template <>
const RowKernels<float>& rows_avx512() {
    return kernels_avx512<float>;
}
template <>
const RowKernels<double>& rows_avx512() {
    return kernels_avx512<double>;
}

}  // namespace moiety::hypergraph
