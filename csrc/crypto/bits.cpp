#include "crypto/bits.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "crypto/bits_kernels.hpp"
#include "crypto/transpose.hpp"

namespace moiety::crypto {
namespace {

template <class T>
void to_planes_scalar(const T* x, int64_t n, int first, int count, uint64_t* planes, int64_t stride) {
    for (int64_t word = 0; word < words_for(n); ++word) {
        const int64_t begin = 64 * word;
        const int live = static_cast<int>(std::min<int64_t>(64, n - begin));
        uint64_t block[64] = {};
        for (int i = 0; i < live; ++i) block[i] = static_cast<uint64_t>(x[begin + i]) >> first;
        transpose64(block);
        for (int j = 0; j < count; ++j) planes[j * stride + word] = block[j];
    }
}

template <class T>
void from_planes_scalar(const uint64_t* planes, int64_t stride, int64_t n, int count, T* x) {
    for (int64_t word = 0; word < words_for(n); ++word) {
        const int64_t begin = 64 * word;
        const int live = static_cast<int>(std::min<int64_t>(64, n - begin));
        uint64_t block[64] = {};
        for (int j = 0; j < count; ++j) block[j] = planes[j * stride + word];
        transpose64(block);
        for (int i = 0; i < live; ++i) x[begin + i] = static_cast<T>(block[i]);
    }
}

template <class T>
void pack_scalar(const T* x, int64_t n, int bytes, uint8_t* out) {
    for (int64_t i = 0; i < n; ++i)
        for (int j = 0; j < bytes; ++j) *out++ = static_cast<uint8_t>(x[i] >> (8 * j));
}

template <class T>
void unpack_scalar(const uint8_t* in, int64_t n, int bytes, T* x) {
    for (int64_t i = 0; i < n; ++i) {
        T value = 0;
        for (int j = 0; j < bytes; ++j) value |= static_cast<T>(T{*in++} << (8 * j));
        x[i] = value;
    }
}

template <class T>
const BitsKernels<T>& kernels() {
    static constexpr BitsKernels<T> scalar = {to_planes_scalar<T>, from_planes_scalar<T>, pack_scalar<T>,
                                              unpack_scalar<T>};
#if defined(__x86_64__)
    if constexpr (sizeof(T) == 8) {
        if (cpu().vbmi) return bits_vbmi_u64;
        if (cpu().avx2) return bits_avx2_u64;
    } else {
        if (cpu().vbmi) return bits_vbmi_u32;
        if (cpu().avx2) return bits_avx2_u32;
    }
#endif
    return scalar;
}

template <class T>
void check_planes(int64_t n, int first, int count, int64_t stride) {
    constexpr int width = 8 * static_cast<int>(sizeof(T));
    check(n >= 0, "expected a number of elements >= 0, got ", n);
    check(first >= 0 && count >= 0 && first + count <= width, "expected bits within [0, ", width, "), got [", first,
          ", ", first + count, ")");
    check(count <= 1 || stride >= words_for(n), "expected planes at least ", words_for(n), " words apart for ", n,
          " elements, got ", stride);
}

template <class T>
void check_packing(int64_t n, int bytes) {
    check(n >= 0, "expected a number of elements >= 0, got ", n);
    check(bytes >= 1 && bytes <= static_cast<int>(sizeof(T)), "expected 1 to ", sizeof(T), " bytes an element, got ",
          bytes);
}

}  // namespace

template <class T>
void to_planes(const T* x, int64_t n, int first, int count, uint64_t* planes, int64_t stride) {
    check_planes<T>(n, first, count, stride);
    if (count == 0) return;  // `first` may then be the width, by which no element can be shifted
    kernels<T>().to_planes(x, n, first, count, planes, stride);
}

template <class T>
void from_planes(const uint64_t* planes, int64_t stride, int64_t n, int count, T* x) {
    check_planes<T>(n, 0, count, stride);
    kernels<T>().from_planes(planes, stride, n, count, x);
}

template <class T>
void pack(const T* x, int64_t n, int bytes, uint8_t* out) {
    check_packing<T>(n, bytes);
    if (n == 0) return;
    // The bytes of a whole element in order are the element itself on a little-endian machine.
    if (std::endian::native == std::endian::little && bytes == static_cast<int>(sizeof(T)))
        std::memcpy(out, x, static_cast<size_t>(n) * sizeof(T));
    else
        kernels<T>().pack(x, n, bytes, out);
}

template <class T>
void unpack(const uint8_t* in, int64_t n, int bytes, T* x) {
    check_packing<T>(n, bytes);
    if (n == 0) return;
    if (std::endian::native == std::endian::little && bytes == static_cast<int>(sizeof(T)))
        std::memcpy(x, in, static_cast<size_t>(n) * sizeof(T));
    else
        kernels<T>().unpack(in, n, bytes, x);
}

template void to_planes(const uint32_t*, int64_t, int, int, uint64_t*, int64_t);
template void to_planes(const uint64_t*, int64_t, int, int, uint64_t*, int64_t);
template void from_planes(const uint64_t*, int64_t, int64_t, int, uint32_t*);
template void from_planes(const uint64_t*, int64_t, int64_t, int, uint64_t*);
template void pack(const uint32_t*, int64_t, int, uint8_t*);
template void pack(const uint64_t*, int64_t, int, uint8_t*);
template void unpack(const uint8_t*, int64_t, int, uint32_t*);
template void unpack(const uint8_t*, int64_t, int, uint64_t*);

}  // namespace moiety::crypto
