// The parts of a float32 exponential that are the same for every width: e^x = 2^n e^r with n = round(x / ln 2).
#pragma once

namespace moiety::graph {
namespace {

constexpr float log2_e = 1.44269504f;
// ln 2 in two parts: n times the first is exact, since it has 9 trailing zeros and |n| is below 2^9.
constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
// Beyond these the result is 0 or infinity.
constexpr float exp_lowest = -110.0f, exp_highest = 89.0f;

// x - n ln 2, of at most ln 2 / 2.
template <class V>
inline typename V::Register reduce(typename V::Register x, typename V::Register n) {
    return V::multiply_add(n, V::broadcast(-ln2_low), V::multiply_add(n, V::broadcast(-ln2_high), x));
}

// The series of e^r up to r^7 / 7!: what follows is below 2^-27.
template <class V>
inline typename V::Register exp_near_zero(typename V::Register r) {
    constexpr float factor[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    auto sum = V::broadcast(1.0f / 5040);
    for (float f : factor) sum = V::multiply_add(sum, r, V::broadcast(f));
    return sum;
}

}  // namespace
}  // namespace moiety::graph
