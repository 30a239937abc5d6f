// Every path of graph attention against the scalar one in double precision, forward and backward.
#include "graph/gat.hpp"
#include "graph/gate.hpp"

#include <cmath>

#include "check.hpp"
#include "graph/made_up.hpp"
#include "graph/softmax.hpp"

using namespace moiety;
using namespace moiety::graph;
using namespace moiety::test;

namespace {

struct Results {
    std::vector<double> y, dx, dsource, dtarget;
};

template <class To, class From>
std::vector<To> converted(const std::vector<From>& from) {
    std::vector<To> to(from.size());
    for (size_t k = 0; k < from.size(); ++k) {
        if constexpr (std::is_same_v<To, Bf16>)
            put(&to[k], static_cast<float>(value(from[k])));
        else
            to[k] = static_cast<To>(value(from[k]));
    }
    return to;
}

template <class T>
Results attention(int64_t heads, int64_t features, double slope, int threads) {
    const MadeUp<int32_t> g;
    const size_t h = static_cast<size_t>(heads), n = h * static_cast<size_t>(features);
    // bfloat16 inputs that the other types hold as well.
    const auto x = converted<T>(values<Bf16>(31 * n, 2)), dy = converted<T>(values<Bf16>(53 * n, 3));
    const auto source = converted<Weight<T>>(values<double>(31 * h, 4));
    const auto target = converted<Weight<T>>(values<double>(53 * h, 5));
    std::vector<T> y(53 * n), dx(31 * n);
    std::vector<Weight<T>> log_sum(53 * h), positive(53 * n), share(53 * h), dsource(31 * h), dtarget(53 * h);
    const GatShape shape{heads, features, slope};
    const GatSaved<T> saved{log_sum.data(), positive.data(), share.data()};
    gat_forward<T, int32_t>(g.csr(), shape, x.data(), source.data(), target.data(), y.data(), saved, threads);
    std::vector<int64_t> start(32), entry(g.edges());
    std::vector<int32_t> row(g.edges());
    transpose(g.csr(), start.data(), row.data(), entry.data());
    gat_backward<T, int32_t>({31, 53, start.data(), row.data()}, shape, x.data(), source.data(), target.data(),
                             y.data(), saved, dy.data(), dx.data(), dsource.data(), dtarget.data(), threads);
    return {converted<double>(y), converted<double>(dx), converted<double>(dsource), converted<double>(dtarget)};
}

bool close(const std::vector<double>& a, const std::vector<double>& b, double error) {
    for (size_t k = 0; k < a.size(); ++k)
        if (!(std::abs(a[k] - b[k]) <= error * (1 + std::abs(b[k])))) return false;
    return a.size() == b.size();
}

template <class T>
void against_double(double error) {
    for (auto [heads, features] : {std::pair<int64_t, int64_t>{1, 40}, {4, 16}, {8, 8}, {3, 5}, {20, 3}, {2, 100}})
        for (double slope : {0.2, 0.0}) {
            const Results wanted = attention<double>(heads, features, slope, 1);
            at_every_level([&] {
                const Results got = attention<T>(heads, features, slope, 3);
                EXPECT(close(got.y, wanted.y, error));
                EXPECT(close(got.dx, wanted.dx, error));
                EXPECT(close(got.dsource, wanted.dsource, 8 * error));
                EXPECT(close(got.dtarget, wanted.dtarget, 8 * error));
            });
        }
}

void softmax() {
    const MadeUp<int32_t> g;
    for (int64_t heads : {1, 2, 3, 4, 8, 16, 20}) {
        const auto exact = values<double>(g.edges() * static_cast<size_t>(heads), 6);
        const auto scores = converted<float>(exact);
        std::vector<double> alpha(exact.size()), gradient(exact.size());
        edge_softmax(g.row_start.data(), 53, heads, exact.data(), alpha.data(), 1);
        edge_softmax_backward(g.row_start.data(), 53, heads, alpha.data(), exact.data(), gradient.data(), 1);
        at_every_level([&] {
            std::vector<float> a(exact.size()), d(exact.size());
            edge_softmax(g.row_start.data(), 53, heads, scores.data(), a.data(), 2);
            edge_softmax_backward(g.row_start.data(), 53, heads, a.data(), scores.data(), d.data(), 2);
            EXPECT(close(converted<double>(a), alpha, 1e-5));
            EXPECT(close(converted<double>(d), gradient, 1e-5));
        });
    }
}

template <class I>
void gates() {
    const MadeUp<I> g;
    for (int64_t width : {1, 16, 40, 64, 100}) {
        const size_t n = static_cast<size_t>(width);
        const auto own = values<double>(53 * n, 7), other = values<double>(31 * n, 8),
                   value = values<double>(31 * n, 9);
        std::vector<double> sum(53 * n), rise(53 * n);
        gated_sum<double, I>(g.csr(), own.data(), other.data(), value.data(), sum.data(), rise.data(), width, 1);
        const auto own32 = converted<float>(own), other32 = converted<float>(other), value32 = converted<float>(value);
        at_every_level([&] {
            std::vector<float> s(53 * n), r(53 * n);
            gated_sum<float, I>(g.csr(), own32.data(), other32.data(), value32.data(), s.data(), r.data(), width, 3);
            EXPECT(close(converted<double>(s), sum, 1e-5));
            EXPECT(close(converted<double>(r), rise, 1e-5));
        });
    }
}

}  // namespace

int main() {
    gates<int32_t>();
    gates<int64_t>();
    against_double<float>(1e-4);
    against_double<Bf16>(0.02);
    softmax();
    const MadeUp<int32_t> g;
    EXPECT_THROWS((gat_forward<float, int32_t>(g.csr(), {0, 1, 0.2}, nullptr, nullptr, nullptr, nullptr, {}, 1)));
    EXPECT_THROWS((gat_forward<float, int32_t>(g.csr(), {1, 1, -0.2}, nullptr, nullptr, nullptr, nullptr, {}, 1)));
    return moiety::test::report();
}
