#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "graph/counted.hpp"
#include "graph/counted_tree.hpp"

namespace moiety::graph {
namespace {

struct Raised {
    Number top, total;
};

// exp(x - max x), in place, with the maximum and the sum.
Raised raise(Counter& c, Numbers& x) {
    Numbers scratch = x;
    const Number top = largest(c, scratch);
    for (Number& value : x) value = exponential(c, c.subtract(value, top));
    scratch = x;
    return {top, sum(c, scratch)};
}

Number dot(Counter& c, const Number* a, const Number* b, int64_t width) {
    Numbers terms;
    for (int64_t f = 0; f < width; ++f) terms.push_back(c.multiply(a[f], b[f]));
    return sum(c, terms);
}

Numbers load_row(Counter& c, std::span<const double> x, int64_t row, int64_t width) {
    Numbers values;
    for (int64_t f = 0; f < width; ++f) values.push_back(c.load(&x[at(row * width + f)]));
    return values;
}

struct Score {
    Number z, leaky;
};

Score score(Counter& c, Number source, Number target, double slope) {
    const Number z = c.add(source, target);
    return {z, c.maximum(z, c.multiply(z, {slope, 0}))};
}

}  // namespace

void counted_edge_softmax(Counter& c, const Csr<int64_t>& p, std::span<const double> scores, int64_t heads,
                          std::span<double> z) {
    check(heads >= 1, "edge_softmax: expected heads >= 1, got ", heads);
    check_size(scores, edges_of(p) * heads, "edge_softmax: scores");
    check_size(z, edges_of(p) * heads, "edge_softmax: z");
    int64_t begin = c.load_pointer(p.row_start);
    for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t end = c.load_pointer(p.row_start + i + 1);
        c.tally.edges += end - begin;
        for (int64_t h = 0; end > begin && h < heads; ++h) {
            Numbers terms;
            for (int64_t e = begin; e < end; ++e) terms.push_back(c.load(&scores[at(e * heads + h)]));
            const Number total = raise(c, terms).total;
            for (int64_t e = begin; e < end; ++e) c.store(&z[at(e * heads + h)], c.divide(terms[at(e - begin)], total));
        }
        begin = end;
    }
}

void counted_edge_softmax_backward(Counter& c, const Csr<int64_t>& p, std::span<const double> alpha,
                                   std::span<const double> dalpha, int64_t heads, std::span<double> dscores) {
    check(heads >= 1, "edge_softmax_backward: expected heads >= 1, got ", heads);
    check_size(alpha, edges_of(p) * heads, "edge_softmax_backward: alpha");
    check_size(dalpha, edges_of(p) * heads, "edge_softmax_backward: dalpha");
    check_size(dscores, edges_of(p) * heads, "edge_softmax_backward: dscores");
    int64_t begin = c.load_pointer(p.row_start);
    for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t end = c.load_pointer(p.row_start + i + 1);
        c.tally.edges += end - begin;
        for (int64_t h = 0; end > begin && h < heads; ++h) {
            Numbers a, da, terms;
            for (int64_t e = begin; e < end; ++e) {
                a.push_back(c.load(&alpha[at(e * heads + h)]));
                da.push_back(c.load(&dalpha[at(e * heads + h)]));
                terms.push_back(c.multiply(a.back(), da.back()));
            }
            const Number total = sum(c, terms);
            for (size_t e = 0; e < a.size(); ++e)
                c.store(&dscores[(at(begin) + e) * at(heads) + at(h)], c.multiply(a[e], c.subtract(da[e], total)));
        }
        begin = end;
    }
}

void counted_gat(Counter& c, const Csr<int64_t>& p, const Features& x, std::span<const double> score_source,
                 std::span<const double> score_target, double slope, std::span<double> y,
                 const CountedGatSaved& saved) {
    x.validate(p.columns, "gat: x");
    check_size(score_source, p.columns * x.heads, "gat: score_source");
    check_size(score_target, p.rows * x.heads, "gat: score_target");
    check_size(y, p.rows * x.size(), "gat: y");
    const bool keep = !saved.log_sum.empty();
    check_size(saved.positive, keep ? p.rows * x.size() : 0, "gat: positive");
    check_size(saved.share, keep ? p.rows * x.heads : 0, "gat: share");
    int64_t begin = c.load_pointer(p.row_start);
    for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t end = c.load_pointer(p.row_start + i + 1), degree = end - begin;
        c.tally.edges += degree;
        std::vector<int64_t> source(at(degree));
        for (int64_t e = 0; e < degree; ++e) source[at(e)] = c.load_index(p.column + begin + e);
        for (int64_t h = 0; h < x.heads; ++h) {
            Raised raised;
            Numbers weight(at(degree)), positive(at(keep ? degree : 0));
            std::vector<Number> z(at(degree));
            if (degree > 0) {
                const Number target = c.load(&score_target[at(i * x.heads + h)]);
                for (int64_t e = 0; e < degree; ++e) {
                    const Number from = c.load(&score_source[at(source[at(e)] * x.heads + h)]);
                    const Score s = score(c, from, target, slope);
                    z[at(e)] = s.z;
                    weight[at(e)] = s.leaky;
                }
                raised = raise(c, weight);
            }
            if (keep) {
                for (int64_t e = 0; e < degree; ++e) {
                    const Number kept = c.maximum(z[at(e)], {0, 0});
                    positive[at(e)] = {z[at(e)].value > 0 ? weight[at(e)].value : 0,
                                       std::max(kept.depth, weight[at(e)].depth)};
                }
                Number share, log_sum;
                if (degree > 0) {
                    Numbers scratch = positive;
                    share = c.divide(sum(c, scratch), raised.total);
                    log_sum = c.add(raised.top, c.special(std::log(raised.total.value), raised.total));
                }
                c.store(&saved.share[at(i * x.heads + h)], share);
                c.store(&saved.log_sum[at(i * x.heads + h)], log_sum);
            }
            for (int64_t f = h * x.width; f < (h + 1) * x.width; ++f) {
                Numbers terms, those;
                for (int64_t e = 0; e < degree; ++e) {
                    const Number value = c.load(&x.x[at(source[at(e)] * x.size() + f)]);
                    terms.push_back(c.multiply(weight[at(e)], value));
                    if (keep) those.push_back(c.multiply(positive[at(e)], value));
                }
                c.store(&y[at(i * x.size() + f)], degree > 0 ? c.divide(sum(c, terms), raised.total) : Number{});
                if (keep)
                    c.store(&saved.positive[at(i * x.size() + f)],
                            degree > 0 ? c.divide(sum(c, those), raised.total) : Number{});
            }
        }
        begin = end;
    }
}

void counted_gat_backward(Counter& c, const Csr<int64_t>& by_source, const CountedGatInputs& in, std::span<double> dx,
                          std::span<double> dscore_source, std::span<double> dscore_target) {
    const int64_t targets = by_source.columns, heads = in.x.heads, width = in.x.width, size = in.x.size();
    in.x.validate(by_source.rows, "gat_backward: x");
    in.y.validate(targets, "gat_backward: y");
    in.dy.validate(targets, "gat_backward: dy");
    check(in.y.heads == heads && in.y.width == width && in.dy.heads == heads && in.dy.width == width,
          "gat_backward: expected y and dy like x, of ", heads, "x", width);
    check_size(in.score_source, by_source.rows * heads, "gat_backward: score_source");
    check_size(in.score_target, targets * heads, "gat_backward: score_target");
    check_size(in.log_sum, targets * heads, "gat_backward: log_sum");
    check_size(in.share, targets * heads, "gat_backward: share");
    check_size(in.positive, targets * size, "gat_backward: positive");
    check_size(dx, by_source.rows * size, "gat_backward: dx");
    check_size(dscore_source, by_source.rows * heads, "gat_backward: dscore_source");
    check_size(dscore_target, targets * heads, "gat_backward: dscore_target");

    Numbers delta;
    for (int64_t i = 0; i < targets; ++i) {
        const Numbers dy = load_row(c, in.dy.x, i, size), y = load_row(c, in.y.x, i, size);
        const Numbers positive = load_row(c, in.positive, i, size), share = load_row(c, in.share, i, heads);
        for (int64_t h = 0; h < heads; ++h) {
            const size_t first = at(h * width);
            delta.push_back(c.keep(dot(c, &dy[first], &y[first], width)));
            const Number above = dot(c, &dy[first], &positive[first], width);
            const Number difference = c.subtract(above, c.multiply(delta.back(), share[at(h)]));
            c.store(&dscore_target[at(i * heads + h)], c.multiply({1 - in.slope, 0}, difference));
        }
    }
    ++c.tally.barriers;  // delta of every target is there

    int64_t begin = c.load_pointer(by_source.row_start);
    for (int64_t j = 0; j < by_source.rows; ++j) {
        const int64_t end = c.load_pointer(by_source.row_start + j + 1), degree = end - begin;
        c.tally.edges += degree;
        const Numbers x = load_row(c, in.x.x, j, degree > 0 ? size : 0);
        const Numbers from = load_row(c, in.score_source, j, degree > 0 ? heads : 0);
        std::vector<Numbers> features(at(size)), scores(at(heads));
        for (int64_t e = begin; e < end; ++e) {
            const int64_t i = c.load_index(by_source.column + e);
            const Numbers dy = load_row(c, in.dy.x, i, size);
            for (int64_t h = 0; h < heads; ++h) {
                const Score s = score(c, from[at(h)], c.load(&in.score_target[at(i * heads + h)]), in.slope);
                const Number level = c.load(&in.log_sum[at(i * heads + h)]);
                const Number alpha = exponential(c, c.subtract(s.leaky, level));
                const Number g = dot(c, &dy[at(h * width)], &x[at(h * width)], width);
                const Number above = c.subtract(g, c.reload(delta[at(i * heads + h)]));
                const Number kept = c.maximum(s.z, {0, 0});  // the comparison that chooses the slope
                const Number slope{s.z.value > 0 ? 1 : in.slope, kept.depth};
                scores[at(h)].push_back(c.multiply(c.multiply(above, alpha), slope));
                for (int64_t f = h * width; f < (h + 1) * width; ++f)
                    features[at(f)].push_back(c.multiply(alpha, dy[at(f)]));
            }
        }
        for (int64_t f = 0; f < size; ++f)
            c.store(&dx[at(j * size + f)], degree > 0 ? sum(c, features[at(f)]) : Number{});
        for (int64_t h = 0; h < heads; ++h)
            c.store(&dscore_source[at(j * heads + h)], degree > 0 ? sum(c, scores[at(h)]) : Number{});
        begin = end;
    }
}

}  // namespace moiety::graph
