#include "ring/strassen.hpp"

#include <algorithm>

#include "core/buffer.hpp"
#include "core/parallel.hpp"
#include "ring/elementwise_kernels.hpp"
#include "ring/gemm.hpp"

namespace moiety::ring {
namespace {

template <class T>
struct Matrix {
    T* data;
    int64_t stride;

    operator Matrix<const T>() const { return {data, stride}; }
};

template <class T>
class Arithmetic {
  public:
    using In = Matrix<const T>;
    using Out = Matrix<T>;

    Arithmetic(int64_t m, int64_t n, int64_t k, int threads) : m_(m), n_(n), k_(k), threads_(threads) {}

    void multiply(Out c, In a, In b) const {
        gemm(a.data, a.stride, b.data, b.stride, c.data, c.stride, m_, n_, k_, false, threads_);
    }
    // out = x + y or x - y, elementwise over a quarter of A, B or C.
    void of_a(Binary op, Out out, In x, In y) const { apply(op, out, x, y, m_, k_); }
    void of_b(Binary op, Out out, In x, In y) const { apply(op, out, x, y, k_, n_); }
    void of_c(Binary op, Out out, In x, In y) const { apply(op, out, x, y, m_, n_); }

  private:
    void apply(Binary op, Out out, In x, In y, int64_t rows, int64_t columns) const {
        parallel_for(rows, 1 + 65536 / columns, threads_, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
                kernels_.binary(op, x.data + i * x.stride, y.data + i * y.stride, out.data + i * out.stride, columns);
        });
    }

    int64_t m_, n_, k_;
    int threads_;
    const ElementwiseKernels<T>& kernels_ = elementwise_kernels<T>();
};

}  // namespace

template <class T>
void strassen(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
              int threads) {
    m /= 2, n /= 2, k /= 2;
    using In = Matrix<const T>;
    using Out = Matrix<T>;
    const In a11{a, lda}, a12{a + k, lda}, a21{a + m * lda, lda}, a22{a + m * lda + k, lda};
    const In b11{b, ldb}, b12{b + n, ldb}, b21{b + k * ldb, ldb}, b22{b + k * ldb + n, ldb};
    const Out c11{c, ldc}, c12{c + n, ldc}, c21{c + m * ldc, ldc}, c22{c + m * ldc + n, ldc};
    Buffer<T> x_buffer(m * std::max(k, n)), y_buffer(k * n);
    const Out s{x_buffer.data(), k}, p1{x_buffer.data(), n}, t{y_buffer.data(), n};
    const Arithmetic<T> q(m, n, k, threads);
    constexpr Binary plus = Binary::add, minus = Binary::subtract;

    q.of_a(minus, s, a11, a21);    // S3
    q.of_b(minus, t, b22, b12);    // T3
    q.multiply(c21, s, t);         // P7
    q.of_a(plus, s, a21, a22);     // S1
    q.of_b(minus, t, b12, b11);    // T1
    q.multiply(c22, s, t);         // P5
    q.of_a(minus, s, s, a11);      // S2
    q.of_b(minus, t, b22, t);      // T2
    q.multiply(c12, s, t);         // P6
    q.of_a(minus, s, a12, s);      // S4
    q.multiply(c11, s, b22);       // P3
    q.multiply(p1, a11, b11);      // P1, where S4 was
    q.of_c(plus, c12, c12, p1);    // U2 = P6 + P1
    q.of_c(plus, c21, c21, c12);   // U3 = P7 + U2
    q.of_c(plus, c12, c12, c22);   // U2 + P5
    q.of_c(plus, c22, c22, c21);   // C22 = P5 + U3
    q.of_c(plus, c12, c12, c11);   // C12 = U2 + P5 + P3
    q.of_b(minus, t, t, b21);      // T4
    q.multiply(c11, a22, t);       // P4
    q.of_c(minus, c21, c21, c11);  // C21 = U3 - P4
    q.multiply(c11, a12, b21);     // P2
    q.of_c(plus, c11, c11, p1);    // C11 = P2 + P1
}

template void strassen(const uint32_t*, int64_t, const uint32_t*, int64_t, uint32_t*, int64_t, int64_t, int64_t,
                       int64_t, int);
template void strassen(const uint64_t*, int64_t, const uint64_t*, int64_t, uint64_t*, int64_t, int64_t, int64_t,
                       int64_t, int);

}  // namespace moiety::ring
