// Every path of spmm and sddmm against the scalar one: bit for bit in the ring, within rounding in floats.
#include "graph/spmm.hpp"

#include <cmath>
#include <cstring>

#include "check.hpp"
#include "graph/made_up.hpp"
#include "graph/sddmm.hpp"

using namespace moiety;
using namespace moiety::graph;
using namespace moiety::test;

namespace {

template <class T>
double tolerance() {
    return std::is_integral_v<T> ? 0 : std::is_same_v<T, Bf16> ? 0.02 : std::is_same_v<T, double> ? 1e-13 : 1e-4;
}

template <class T>
bool close(const std::vector<T>& a, const std::vector<T>& b) {
    if constexpr (std::is_integral_v<T>) return a == b;
    for (size_t k = 0; k < a.size(); ++k) {
        const double x = static_cast<double>(value(a[k])), y = static_cast<double>(value(b[k]));
        if (std::abs(x - y) > tolerance<T>() * (1 + std::abs(y))) return false;
    }
    return true;
}

template <class T, class I>
void products() {
    const MadeUp<I> g;
    for (int64_t width : {1, 4, 7, 16, 33, 64, 100, 130}) {
        for (int64_t heads : {int64_t{0}, int64_t{1}, width}) {  // 0: no weights; as many heads as features
            if (std::is_integral_v<T> && heads > 1) continue;
            const size_t n = static_cast<size_t>(width);
            const std::vector<T> x = values<T>(31 * n, 2);
            const auto w = values<Weight<T>>(g.edges() * static_cast<size_t>(std::max<int64_t>(heads, 1)), 3);
            const EdgeWeights<T> weights{heads == 0 ? nullptr : w.data(), std::max<int64_t>(heads, 1)};
            std::vector<T> wanted;
            std::vector<int32_t> wanted_argument;
            at_every_level([&] {
                for (int threads : {1, 3}) {
                    std::vector<T> y(53 * n);
                    spmm<T, I>(g.csr(), weights, nullptr, x.data(), y.data(), width, false, threads);
                    if (wanted.empty()) wanted = y;
                    EXPECT(close(y, wanted));
                    if constexpr (!std::is_integral_v<T>) {
                        std::vector<int32_t> argument(53 * n);
                        spmm_extreme<T, I>(g.csr(), weights, nullptr, x.data(), y.data(), argument.data(), width, false,
                                           threads);
                        if (wanted_argument.empty()) wanted_argument = argument;
                        EXPECT(argument == wanted_argument);
                        EXPECT(argument.back() == -1);
                    }
                }
            });
        }
    }
}

template <class T>
void orders_of_sources() {
    const MadeUp<int32_t> g;
    const int64_t width = 20;
    std::vector<int32_t> order(31), number(31), column(g.column);
    for (int32_t k = 0; k < 31; ++k) order[static_cast<size_t>(k)] = (7 * k + 3) % 31;
    for (int32_t k = 0; k < 31; ++k) number[static_cast<size_t>(order[static_cast<size_t>(k)])] = k;
    for (int32_t& c : column) c = number[static_cast<size_t>(c)];
    const std::vector<T> x = values<T>(31 * 20, 5);
    std::vector<T> y(53 * 20), other(53 * 20);
    spmm<T, int32_t>(g.csr(), {}, nullptr, x.data(), y.data(), width, false, 1);
    spmm<T, int32_t>({53, 31, g.row_start.data(), column.data()}, {}, order.data(), x.data(), other.data(), width,
                     false, 2);
    EXPECT(std::memcmp(y.data(), other.data(), y.size() * sizeof(T)) == 0);
}

template <class T, class I>
void dots() {
    const MadeUp<I> g;
    for (auto [heads, features] : {std::pair<int64_t, int64_t>{1, 70}, {4, 16}, {3, 5}, {20, 3}, {2, 300}}) {
        const size_t n = static_cast<size_t>(heads * features);
        const std::vector<T> x = values<T>(53 * n, 2), y = values<T>(31 * n, 3);
        std::vector<Weight<T>> wanted;
        at_every_level([&] {
            std::vector<Weight<T>> s(g.edges() * static_cast<size_t>(heads));
            sddmm<T, I>(g.csr(), x.data(), y.data(), s.data(), heads, features, 2);
            if (wanted.empty()) wanted = s;
            EXPECT(close(s, wanted));
        });
    }
}

template <class I>
void patterns() {
    const MadeUp<I> g;
    validate(g.csr(), static_cast<int64_t>(g.edges()));
    std::vector<int64_t> start(32), entry(g.edges()), again(54), back(g.edges());
    std::vector<I> row(g.edges()), column(g.edges());
    transpose(g.csr(), start.data(), row.data(), entry.data());
    const Csr<I> turned{31, 53, start.data(), row.data()};
    validate(turned, static_cast<int64_t>(g.edges()));
    for (size_t k = 0; k + 1 < start.size(); ++k)
        for (int64_t e = start[k]; e < start[k + 1]; ++e)
            EXPECT(g.column[static_cast<size_t>(entry[static_cast<size_t>(e)])] == static_cast<I>(k));
    transpose(turned, again.data(), column.data(), back.data());
    EXPECT(again == g.row_start);
    EXPECT(column == g.column);

    std::vector<I> outside = g.column;
    outside[17] = 31;
    EXPECT_THROWS(validate(Csr<I>{53, 31, g.row_start.data(), outside.data()}, static_cast<int64_t>(g.edges())));
    outside[17] = -1;
    EXPECT_THROWS(validate(Csr<I>{53, 31, g.row_start.data(), outside.data()}, static_cast<int64_t>(g.edges())));
    EXPECT_THROWS(validate(g.csr(), static_cast<int64_t>(g.edges()) + 1));
    const int64_t node[] = {0, 53}, zero[] = {0, 0};
    EXPECT_THROWS(build(node, zero, 2, 53, 31, again.data(), column.data(), back.data()));
}

}  // namespace

int main() {
    products<float, int32_t>();
    products<double, int32_t>();
    products<Bf16, int32_t>();
    products<uint32_t, int32_t>();
    products<uint64_t, int32_t>();
    products<float, int64_t>();
    products<uint64_t, int64_t>();
    orders_of_sources<float>();
    orders_of_sources<uint64_t>();
    dots<float, int32_t>();
    dots<double, int64_t>();
    dots<Bf16, int32_t>();
    patterns<int32_t>();
    patterns<int64_t>();
    std::vector<float> x(31 * 3), y(53 * 3), w(400);
    const MadeUp<int32_t> g;
    EXPECT_THROWS((spmm<float, int32_t>(g.csr(), {w.data(), 2}, nullptr, x.data(), y.data(), 3, false, 1)));
    EXPECT_THROWS((spmm<uint32_t, int32_t>(g.csr(), {}, nullptr, nullptr, nullptr, 3, true, 1)));
    return moiety::test::report();
}
