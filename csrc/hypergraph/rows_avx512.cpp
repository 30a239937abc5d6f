#include <immintrin.h>

#include "hypergraph/merge.hpp"

namespace moiety::hypergraph {
namespace {

inline uint32_t first_lanes(int64_t count) { return (uint32_t{1} << count) - 1; }  // count <= 16

inline void fill_eight(float* p, float w) { _mm256_storeu_ps(p, _mm256_set1_ps(w)); }
inline void fill_eight(double* p, double w) { _mm512_storeu_pd(p, _mm512_set1_pd(w)); }

// Up to N columns of a row.
template <int N>
struct Columns;

template <>
struct Columns<8> {
    __m256i all;

    Columns(const int32_t* from, uint32_t m) : all(_mm256_maskz_loadu_epi32(static_cast<__mmask8>(m), from)) {}
    // Lanes of `m` whose column stands in an earlier one; before[j]: in which ones, a bit each.
    uint32_t repeated(uint32_t m, uint32_t* before) const {
        const __m256i same = _mm256_maskz_conflict_epi32(static_cast<__mmask8>(m), all);
        _mm256_store_si256(reinterpret_cast<__m256i*>(before), same);
        return _mm256_test_epi32_mask(same, same);
    }
    void store(int32_t* to, uint32_t keep, int64_t count) const {
        _mm256_mask_storeu_epi32(to, static_cast<__mmask8>(first_lanes(count)),
                                 _mm256_maskz_compress_epi32(static_cast<__mmask8>(keep), all));
    }
};

template <>
struct Columns<16> {
    __m512i all;

    Columns(const int32_t* from, uint32_t m) : all(_mm512_maskz_loadu_epi32(static_cast<__mmask16>(m), from)) {}
    uint32_t repeated(uint32_t m, uint32_t* before) const {
        const __m512i same = _mm512_maskz_conflict_epi32(static_cast<__mmask16>(m), all);
        _mm512_store_si512(before, same);
        return _mm512_test_epi32_mask(same, same);
    }
    void store(int32_t* to, uint32_t keep, int64_t count) const {
        _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(first_lanes(count)),
                                 _mm512_maskz_compress_epi32(static_cast<__mmask16>(keep), all));
    }
};

// The weights of their entries.
template <class T, int N>
struct Values;

template <>
struct Values<float, 8> {
    __m256 all;

    Values(const float* from, uint32_t m) : all(_mm256_maskz_loadu_ps(static_cast<__mmask8>(m), from)) {}
    void add(int to, int from) {
        const __m256 more = _mm256_permutexvar_ps(_mm256_set1_epi32(from), all);
        all = _mm256_mask_add_ps(all, static_cast<__mmask8>(1u << to), all, more);
    }
    // Times scale_row * the column's scale, those of `keep`, `count` in number, next to each other.
    void store(float* to, uint32_t m, uint32_t keep, int64_t count, const Columns<8>& columns, const Slot<float>* slot,
               float scale_row) const {
        const __m256 theirs = _mm256_mmask_i32gather_ps(_mm256_setzero_ps(), static_cast<__mmask8>(m), columns.all,
                                                        &slot->scale, sizeof(Slot<float>));
        const __m256 scaled = _mm256_mul_ps(all, _mm256_mul_ps(_mm256_set1_ps(scale_row), theirs));
        _mm256_mask_storeu_ps(to, static_cast<__mmask8>(first_lanes(count)),
                              _mm256_maskz_compress_ps(static_cast<__mmask8>(keep), scaled));
    }
};

template <>
struct Values<float, 16> {
    __m512 all;

    Values(const float* from, uint32_t m) : all(_mm512_maskz_loadu_ps(static_cast<__mmask16>(m), from)) {}
    void add(int to, int from) {
        const __m512 more = _mm512_permutexvar_ps(_mm512_set1_epi32(from), all);
        all = _mm512_mask_add_ps(all, static_cast<__mmask16>(1u << to), all, more);
    }
    void store(float* to, uint32_t m, uint32_t keep, int64_t count, const Columns<16>& columns, const Slot<float>* slot,
               float scale_row) const {
        const __m512 theirs = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), static_cast<__mmask16>(m), columns.all,
                                                       &slot->scale, sizeof(Slot<float>));
        const __m512 scaled = _mm512_mul_ps(all, _mm512_mul_ps(_mm512_set1_ps(scale_row), theirs));
        _mm512_mask_storeu_ps(to, static_cast<__mmask16>(first_lanes(count)),
                              _mm512_maskz_compress_ps(static_cast<__mmask16>(keep), scaled));
    }
};

template <>
struct Values<double, 8> {
    __m512d all;

    Values(const double* from, uint32_t m) : all(_mm512_maskz_loadu_pd(static_cast<__mmask8>(m), from)) {}
    void add(int to, int from) {
        const __m512d more = _mm512_permutexvar_pd(_mm512_set1_epi64(from), all);
        all = _mm512_mask_add_pd(all, static_cast<__mmask8>(1u << to), all, more);
    }
    void store(double* to, uint32_t m, uint32_t keep, int64_t count, const Columns<8>& columns,
               const Slot<double>* slot, double scale_row) const {
        // Slots are 16 bytes, and indices step by 8 at most.
        const __m512i index = _mm512_slli_epi64(_mm512_cvtepi32_epi64(columns.all), 1);
        const __m512d theirs =
            _mm512_mask_i64gather_pd(_mm512_setzero_pd(), static_cast<__mmask8>(m), index, &slot->scale, 8);
        const __m512d scaled = _mm512_mul_pd(all, _mm512_mul_pd(_mm512_set1_pd(scale_row), theirs));
        _mm512_mask_storeu_pd(to, static_cast<__mmask8>(first_lanes(count)),
                              _mm512_maskz_compress_pd(static_cast<__mmask8>(keep), scaled));
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

// add_up_row for a row of up to N entries.
template <int N, class T>
inline int64_t add_up_vector(Slot<T>* slot, int64_t v, List<T> list, int64_t from, int64_t count, int64_t to,
                             int32_t* column, T* value) {
    alignas(64) uint32_t before[N];
    const uint32_t m = first_lanes(count);
    const Columns<N> columns(list.column + from, m);
    Values<T, N> values(list.value + from, m);
    const uint32_t again = columns.repeated(m, before), keep = m & ~again;
    for (uint32_t left = again; left != 0; left &= left - 1) {
        const int j = __builtin_ctz(left);
        values.add(__builtin_ctz(before[j]), j);
    }
    const int kept = __builtin_popcount(keep);
    values.store(value + to, m, keep, kept, columns, slot, slot[v].scale);
    columns.store(column + to, keep, kept);
    return to + kept;
}

template <class T>
int64_t add_up(Slot<T>* slot, int64_t begin, int64_t end, List<T> list, int64_t from, int64_t to, int64_t* row_end,
               int32_t* column, T* value) {
    constexpr int64_t widest = sizeof(T) == 4 ? 16 : 8;
    for (int64_t v = begin; v < end; ++v) {
        const int64_t behind = row_end[v + 1], count = behind - from;
        if (count <= 8)
            to = add_up_vector<8>(slot, v, list, from, count, to, column, value);
        else if (count > widest)
            to = add_up_row(slot, v, list, from, behind, to, column, value);
        else if constexpr (widest > 8)
            to = add_up_vector<16>(slot, v, list, from, count, to, column, value);
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
