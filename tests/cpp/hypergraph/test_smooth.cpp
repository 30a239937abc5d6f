// Every path of the product without a matrix against the scalar one and against the matrix, pairs at every level, and
// what is refused.
#include "hypergraph/smooth.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.hpp"
#include "graph/made_up.hpp"
#include "graph/spmm.hpp"
#include "hypergraph/matrix.hpp"
#include "hypergraph/pairs.hpp"

using namespace moiety;
using namespace moiety::hypergraph;
using namespace moiety::test;

namespace {

// 60 hyperedges of 1 to 20 of the first 45 of 50 nodes.
struct Sets {
    int64_t nodes = 50, hyperedges = 60;
    std::vector<int64_t> start{0}, holder_start, entry, place;
    std::vector<int32_t> member, holder;

    Sets() {
        std::mt19937 random(1);
        std::vector<int32_t> all(45);
        for (size_t v = 0; v < all.size(); ++v) all[v] = static_cast<int32_t>(v);
        for (int64_t e = 0; e < hyperedges; ++e) {
            std::shuffle(all.begin(), all.end(), random);
            member.insert(member.end(), all.begin(), all.begin() + 1 + static_cast<int64_t>(random() % 20));
            start.push_back(static_cast<int64_t>(member.size()));
        }
        holder_start.resize(static_cast<size_t>(nodes) + 1);
        entry.resize(member.size());
        place.resize(member.size());
        holder.resize(member.size());
        graph::transpose(view().members, holder_start.data(), holder.data(), entry.data());
        for (size_t k = 0; k < entry.size(); ++k) place[static_cast<size_t>(entry[k])] = static_cast<int64_t>(k);
    }
    Hypergraph view() const {
        return {{hyperedges, nodes, start.data(), member.data()},
                {nodes, hyperedges, holder_start.data(), holder.data()},
                place.data(),
                nullptr};
    }
};

struct Choice {
    std::vector<int32_t> first, second;
    Pairs pairs() const { return {first.data(), second.data()}; }
};

template <class T>
Choice choose(const Sets& sets, bool exact) {
    Choice c{std::vector<int32_t>(60), std::vector<int32_t>(60)};
    const std::vector<T> signal = values<T>(50 * 9, 3);
    const std::vector<double> direction = values<double>(9, 4);
    if (exact)
        pairs_exact(sets.view(), signal.data(), 9, c.first.data(), c.second.data(), 2);
    else
        pairs_by_projection(sets.view(), signal.data(), 9, direction.data(), c.first.data(), c.second.data(), 2);
    return c;
}

template <class T>
Stars<T> stars_of(const Sets& sets, const Rule& rule, const Choice& choice) {
    if constexpr (std::is_integral_v<T>)
        return in_ring(sets.view(), make_stars<double>(sets.view(), rule, choice.pairs(), 1), 10, 1);
    else
        return make_stars<T>(sets.view(), rule, choice.pairs(), 1);
}

template <class T>
bool close(const std::vector<T>& a, const std::vector<T>& b, double tolerance) {
    if constexpr (std::is_integral_v<T>) return a == b;
    for (size_t k = 0; k < a.size(); ++k)
        if (std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k])) > tolerance) return false;
    return true;
}

template <class T>
void products(double tolerance) {
    const Sets sets;
    const Choice choice = choose<double>(sets, true);
    for (const Rule rule : {Rule{true, false}, Rule{false, false}, Rule{false, true}}) {
        const Stars<T> stars = stars_of<T>(sets, rule, choice);
        for (int64_t width : {1, 7, 8, 16, 33, 64, 100}) {
            const std::vector<T> x = values<T>(static_cast<size_t>(50 * width), 5);
            std::vector<T> wanted;
            at_every_level([&] {
                for (int threads : {1, 3}) {
                    std::vector<T> y(x.size());
                    smooth(sets.view(), stars, x.data(), y.data(), width, threads);
                    if (wanted.empty()) wanted = y;
                    EXPECT(close(y, wanted, tolerance));
                }
            });
            if constexpr (!std::is_integral_v<T>) {
                const auto capacity = static_cast<size_t>(laplacian_capacity(sets.view(), rule));
                std::vector<int64_t> row_start(51);
                std::vector<int32_t> column(capacity);
                std::vector<T> value(capacity), y(x.size());
                const int64_t entries =
                    laplacian(sets.view(), rule, choice.pairs(), row_start.data(), column.data(), value.data(), 2);
                EXPECT(row_start.back() == entries && entries <= static_cast<int64_t>(capacity));
                const Csr<int32_t> matrix{50, 50, row_start.data(), column.data()};
                graph::validate(matrix, entries);
                graph::spmm<T, int32_t>(matrix, {value.data(), 1}, nullptr, x.data(), y.data(), width, false, 1);
                EXPECT(close(y, wanted, tolerance));
            }
        }
    }
}

template <class T>
void pairs_at_every_level() {
    const Sets sets;
    for (bool exact : {false, true}) {
        const Choice wanted = choose<T>(sets, exact);
        at_every_level([&] {
            const Choice found = choose<T>(sets, exact);
            EXPECT(found.first == wanted.first && found.second == wanted.second);
        });
    }
}

void refusals() {
    Sets sets;
    const auto incidences = static_cast<int64_t>(sets.member.size());
    validate(sets.view(), incidences);
    const Choice choice = choose<float>(sets, false);
    Choice wrong = choice;
    wrong.second[7] = 49;  // in no hyperedge
    EXPECT_THROWS(make_stars<float>(sets.view(), {}, wrong.pairs(), 1));
    wrong.second[7] = -1;
    EXPECT_THROWS(make_stars<float>(sets.view(), {}, wrong.pairs(), 1));
    EXPECT_THROWS(validate(sets.view(), incidences - 1));
    const std::vector<double> weight(60, -1.0);
    Hypergraph weighted = sets.view();
    weighted.weight = weight.data();
    EXPECT_THROWS(validate(weighted, incidences));
    std::swap(sets.place[0], sets.place[1]);
    EXPECT_THROWS(validate(sets.view(), incidences));
    std::swap(sets.place[0], sets.place[1]);
    for (size_t e = 0; e < 60; ++e)
        if (sets.start[e + 1] - sets.start[e] > 1) {  // now of the same node twice
            sets.member[static_cast<size_t>(sets.start[e]) + 1] = sets.member[static_cast<size_t>(sets.start[e])];
            break;
        }
    EXPECT_THROWS(validate(sets.view(), incidences));
    std::vector<float> signal(50 * 2, std::nanf(""));
    const double direction[] = {1, 1};
    Choice space = choice;
    EXPECT_THROWS(
        pairs_by_projection(sets.view(), signal.data(), 2, direction, space.first.data(), space.second.data(), 1));
    EXPECT_THROWS(pairs_exact(sets.view(), signal.data(), 2, space.first.data(), space.second.data(), 1));
}

}  // namespace

int main() {
    products<float>(3e-6);
    products<double>(1e-13);
    products<uint64_t>(0);
    pairs_at_every_level<float>();
    pairs_at_every_level<double>();
    refusals();
    return moiety::test::report();
}
