// What the C++ tests need and no more: EXPECT keeps going, the exit code is the number of failures (at most 99).
#pragma once

#include <algorithm>
#include <cstdio>
#include <exception>

namespace moiety::test {
inline int failures = 0;
inline int checks = 0;

inline void expect(bool ok, const char* what, const char* file, int line) {
    ++checks;
    if (ok) return;
    ++failures;
    if (failures <= 20) std::fprintf(stderr, "%s:%d: expected %s\n", file, line, what);
}
inline int report() {
    std::printf("%d checks, %d failed\n", checks, failures);
    return std::min(failures, 99);
}
}  // namespace moiety::test

#define EXPECT(condition) ::moiety::test::expect((condition), #condition, __FILE__, __LINE__)
#define EXPECT_THROWS(expression)                                                   \
    do {                                                                            \
        bool threw = false;                                                         \
        try {                                                                       \
            (void)(expression);                                                     \
        } catch (const std::exception&) {                                           \
            threw = true;                                                           \
        }                                                                           \
        ::moiety::test::expect(threw, #expression " to throw", __FILE__, __LINE__); \
    } while (false)
