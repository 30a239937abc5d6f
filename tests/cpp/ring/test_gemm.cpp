// Every ISA level against the triple loop, with row strides beyond the extents and guarded surroundings.
#include <cstdint>
#include <vector>

#include "check.hpp"
#include "core/cpu.hpp"
#include "ring/gemm.hpp"

namespace {

template <class T>
std::vector<T> sequence(int64_t n, T seed) {
    std::vector<T> v(static_cast<size_t>(n));
    for (T& x : v) x = seed = static_cast<T>(seed * uint64_t{2862933555777941757} + 3037000493u);
    return v;
}

template <class T>
bool product_is_right(int64_t m, int64_t n, int64_t k, bool accumulate, int threads) {
    const int64_t lda = k + 3, ldb = n + 5, ldc = n + 2;
    const std::vector<T> a = sequence<T>(m * lda, 1), b = sequence<T>(k * ldb, 2), before = sequence<T>(m * ldc, 3);
    std::vector<T> expected = before, c = before;
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
            T sum = accumulate ? before[static_cast<size_t>(i * ldc + j)] : T{0};
            for (int64_t p = 0; p < k; ++p)
                sum += a[static_cast<size_t>(i * lda + p)] * b[static_cast<size_t>(p * ldb + j)];
            expected[static_cast<size_t>(i * ldc + j)] = sum;
        }
    moiety::ring::gemm(a.data(), lda, b.data(), ldb, c.data(), ldc, m, n, k, accumulate, threads);
    return c == expected;  // the gaps between the rows of C included
}

template <class T>
void every_shape() {
    for (int64_t m : {1, 2, 4, 5, 8, 9, 70})
        for (int64_t n : {1, 3, 4, 5, 16, 17, 49, 130})
            for (int64_t k : {0, 1, 2, 7, 33, 400})
                for (bool accumulate : {false, true}) EXPECT(product_is_right<T>(m, n, k, accumulate, 2));
    EXPECT(product_is_right<T>(385, 387, 386, false, 1));
    EXPECT(product_is_right<T>(385, 387, 386, true, 3));
}

}  // namespace

int main() {
    const moiety::Isa widest = moiety::isa();
    for (auto level : {moiety::Isa::scalar, moiety::Isa::avx2, moiety::Isa::avx512}) {
        if (level > widest) continue;
        moiety::set_isa(level);
        every_shape<uint32_t>();
        every_shape<uint64_t>();
    }
    uint64_t x = 1;
    EXPECT_THROWS(moiety::ring::gemm(&x, 0, &x, 1, &x, 1, 1, 1, 1, false, 1));
    EXPECT_THROWS(moiety::ring::gemm(&x, 1, &x, 1, &x, 1, -1, 1, 1, false, 1));
    return moiety::test::report();
}
