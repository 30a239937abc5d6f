// A seeded random graph with a hub, duplicates and empty rows, and random values.
#pragma once

#include <bit>
#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

#include "core/cpu.hpp"
#include "graph/csr.hpp"
#include "nn/float_value.hpp"

namespace moiety::test {

using nn::put;
using nn::value;

template <class I>
struct MadeUp {
    int64_t rows = 53, columns = 31;
    std::vector<int64_t> row_start, order;
    std::vector<I> column;

    explicit MadeUp(int seed = 1) {
        std::mt19937 random(static_cast<unsigned>(seed));
        std::vector<int64_t> target, source;
        for (int e = 0; e < 400; ++e) {
            target.push_back(e < 150 ? 7 : static_cast<int64_t>(random() % 49));  // rows 49 to 52 stay empty
            source.push_back(static_cast<int64_t>(random() % 31));
        }
        row_start.resize(static_cast<size_t>(rows) + 1);
        order.resize(target.size());
        column.resize(target.size());
        graph::build(target.data(), source.data(), static_cast<int64_t>(target.size()), rows, columns, row_start.data(),
                     column.data(), order.data());
    }
    graph::Csr<I> csr() const { return {rows, columns, row_start.data(), column.data()}; }
    size_t edges() const { return column.size(); }
};

template <class T>
std::vector<T> values(size_t n, int seed) {
    std::mt19937_64 random(static_cast<unsigned>(seed));
    std::vector<T> v(n);
    for (T& x : v)
        if constexpr (std::is_integral_v<T>)
            x = static_cast<T>(random());
        else if constexpr (std::is_same_v<T, nn::Bf16>)
            nn::put(&x, static_cast<float>(random() % 2000) / 1000 - 1);
        else
            x = static_cast<T>(static_cast<double>(random() % 200000) / 100000 - 1);
    return v;
}

// f() at every level that this CPU has; the first call is the scalar one.
template <class F>
void at_every_level(const F& f) {
    const Isa before = isa();
    for (Isa level : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if (level == Isa::avx2 && !cpu_features().avx2) continue;
        if (level == Isa::avx512 && !cpu_features().avx512) continue;
        set_isa(level);
        f();
    }
    set_isa(before);
}

}  // namespace moiety::test
