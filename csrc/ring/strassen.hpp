// One level of Strassen's product in Winograd's form (7 products of half size and 15 additions), which holds in any
// ring and is therefore exact here: with A, B and C in quarters,
//
//     S1 = A21 + A22   T1 = B12 - B11   P1 = A11 B11   P5 = S1 T1   U2 = P1 + P6        C11 = P1 + P2
//     S2 = S1 - A11    T2 = B22 - T1    P2 = A12 B21   P6 = S2 T2   U3 = U2 + P7        C12 = U2 + P5 + P3
//     S3 = A11 - A21   T3 = B22 - B12   P3 = S4 B22    P7 = S3 T3   C22 = U3 + P5
//     S4 = A12 - S2    T4 = T2 - B21    P4 = A22 T4                 C21 = U3 - P4
//
// in the order of Douglas, Heroux, Slishman and Smith (J. Comp. Phys. 110, 1994), which needs two quarter matrices
// beside C.
#pragma once

#include <cstdint>

namespace moiety::ring {

// C = A B with even m, n and k; the seven products go through gemm(), which may split again.
template <class T>
void strassen(const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, int64_t m, int64_t n, int64_t k,
              int threads);

}  // namespace moiety::ring
