#include "graph/counted.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "graph/counted_tree.hpp"

namespace moiety::graph {
namespace {

void check_index(std::span<const int64_t> index, int64_t nodes) {
    for (int64_t i : index) check(i >= 0 && i < nodes, "index: expected entries in [0, ", nodes, "), got ", i);
}

}  // namespace

Counter::Counter(int64_t word, int64_t index_bytes) : word_(word), index_bytes_(index_bytes) {
    check(word >= 1 && word <= 8, "word: expected 1 to 8 bytes, got ", word);
    check(index_bytes == 4 || index_bytes == 8, "index_bytes: expected 4 or 8, got ", index_bytes);
    tally.barriers = 1;  // the one at the kernel's end
}

namespace {
int64_t after(Number a, Number b) { return std::max(a.depth, b.depth) + 1; }
}  // namespace

Number Counter::add(Number a, Number b) {
    ++tally.adds;
    return {a.value + b.value, after(a, b)};
}
Number Counter::subtract(Number a, Number b) {
    ++tally.adds;
    return {a.value - b.value, after(a, b)};
}
Number Counter::multiply(Number a, Number b) {
    ++tally.multiplies;
    return {a.value * b.value, after(a, b)};
}
Number Counter::maximum(Number a, Number b) {
    ++tally.compares;
    return {std::max(a.value, b.value), after(a, b)};
}
Number Counter::minimum(Number a, Number b) {
    ++tally.compares;
    return {std::min(a.value, b.value), after(a, b)};
}
Number Counter::divide(Number a, Number b) {
    ++tally.specials;
    return {a.value / b.value, after(a, b)};
}
Number Counter::special(double value, Number of) {
    ++tally.specials;
    return {value, of.depth + 1};
}

Reduce reduce_named(const std::string& name) {
    if (name == "sum") return Reduce::sum;
    if (name == "mean") return Reduce::mean;
    if (name == "max") return Reduce::max;
    check(name == "min", "reduce: expected sum, mean, max or min, got ", name);
    return Reduce::min;
}

void Features::validate(int64_t nodes, const char* what) const {
    check(heads >= 1 && width >= 1, what, ": expected heads and width >= 1, got ", heads, " and ", width);
    check_size(x, nodes * size(), what);
}

void counted_spmm(Counter& c, const Csr<int64_t>& p, std::span<const double> weights, const Features& x, Reduce reduce,
                  std::span<double> y) {
    const int64_t edges = edges_of(p), width = x.size();
    x.validate(p.columns, "spmm: x");
    check_size(y, p.rows * width, "spmm: y");
    const int64_t each = edges == 0 || weights.empty() ? 0 : static_cast<int64_t>(weights.size()) / edges;
    check(weights.empty() || (static_cast<int64_t>(weights.size()) == each * edges && (each == 1 || each == x.heads)),
          "spmm: expected no weights, ", edges, " or ", edges * x.heads, ", got ", weights.size());
    int64_t begin = c.load_pointer(p.row_start);
    for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t end = c.load_pointer(p.row_start + i + 1);
        std::vector<Numbers> terms(at(width), Numbers(at(end - begin)));
        for (int64_t e = begin; e < end; ++e, ++c.tally.edges) {
            const double* source = x.x.data() + c.load_index(p.column + e) * width;
            Numbers weight(at(each));
            for (int64_t h = 0; h < each; ++h) weight[at(h)] = c.load(&weights[at(e * each + h)]);
            for (int64_t f = 0; f < width; ++f) {
                Number term = c.load(source + f);
                if (each > 0) term = c.multiply(weight[at(each == 1 ? 0 : f / x.width)], term);
                terms[at(f)][at(e - begin)] = term;
            }
        }
        for (int64_t f = 0; f < width; ++f)
            c.store(&y[at(i * width + f)], end > begin ? reduced(c, terms[at(f)], reduce) : Number{});
        begin = end;
    }
}

void counted_sddmm(Counter& c, const Csr<int64_t>& p, const Features& x, const Features& y, std::span<double> z) {
    x.validate(p.rows, "sddmm: x");
    y.validate(p.columns, "sddmm: y");
    check(x.heads == y.heads && x.width == y.width, "sddmm: expected x and y alike, got ", x.heads, "x", x.width,
          " and ", y.heads, "x", y.width);
    check_size(z, edges_of(p) * x.heads, "sddmm: z");
    int64_t begin = c.load_pointer(p.row_start);
    for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t end = c.load_pointer(p.row_start + i + 1);
        Numbers target;
        for (int64_t f = 0; end > begin && f < x.size(); ++f) target.push_back(c.load(&x.x[at(i * x.size() + f)]));
        for (int64_t e = begin; e < end; ++e, ++c.tally.edges) {
            const double* source = y.x.data() + c.load_index(p.column + e) * y.size();
            for (int64_t h = 0; h < x.heads; ++h) {
                Numbers terms;
                for (int64_t f = h * x.width; f < (h + 1) * x.width; ++f)
                    terms.push_back(c.multiply(target[at(f)], c.load(source + f)));
                c.store(&z[at(e * x.heads + h)], sum(c, terms));
            }
        }
        begin = end;
    }
}

void counted_gather(Counter& c, std::span<const int64_t> index, const Features& x, std::span<double> y) {
    const int64_t width = x.size(), nodes = static_cast<int64_t>(x.x.size()) / std::max<int64_t>(width, 1);
    x.validate(nodes, "gather: x");
    check_index(index, nodes);
    check_size(y, static_cast<int64_t>(index.size()) * width, "gather: y");
    for (size_t e = 0; e < index.size(); ++e, ++c.tally.edges) {
        const int64_t source = c.load_index(&index[e]);
        for (int64_t f = 0; f < width; ++f) c.store(&y[e * at(width) + at(f)], c.load(&x.x[at(source * width + f)]));
    }
}

void counted_scatter(Counter& c, std::span<const int64_t> index, const Features& x, Reduce reduce, bool itself,
                     std::span<double> y) {
    const int64_t width = x.size(), nodes = static_cast<int64_t>(y.size()) / std::max<int64_t>(width, 1);
    x.validate(static_cast<int64_t>(index.size()), "scatter: x");
    check_size(y, nodes * width, "scatter: y");
    check_index(index, nodes);
    check(reduce != Reduce::mean, "scatter: expected sum, max or min, got mean");
    std::vector<std::vector<int64_t>> into(at(nodes));
    for (size_t e = 0; e < index.size(); ++e, ++c.tally.edges)
        into[at(c.load_index(&index[e]))].push_back(static_cast<int64_t>(e));
    for (int64_t i = 0; i < nodes; ++i)
        for (int64_t f = 0; !into[at(i)].empty() && f < width; ++f) {
            Numbers terms;
            if (itself) terms.push_back(c.load(&y[at(i * width + f)]));
            for (int64_t e : into[at(i)]) terms.push_back(c.load(&x.x[at(e * width + f)]));
            c.store(&y[at(i * width + f)], reduced(c, terms, reduce));
        }
}

void counted_gemm(Counter& c, std::span<const double> a, std::span<const double> b, std::span<const double> bias,
                  int64_t batch, int64_t n, int64_t k, int64_t m, std::span<double> y) {
    check(batch >= 0 && n >= 0 && k >= 1 && m >= 0, "gemm: expected k >= 1, got ", batch, "x", n, "x", k, "x", m);
    check_size(a, batch * n * k, "gemm: a");
    check_size(b, batch * k * m, "gemm: b");
    check_size(y, batch * n * m, "gemm: y");
    check(bias.empty() || static_cast<int64_t>(bias.size()) == m, "gemm: expected a bias of ", m, ", got ",
          bias.size());
    for (int64_t t = 0; t < batch; ++t)
        for (int64_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < m; ++j) {
                Numbers terms;
                for (int64_t l = 0; l < k; ++l)
                    terms.push_back(
                        c.multiply(c.load(&a[at((t * n + i) * k + l)]), c.load(&b[at((t * k + l) * m + j)])));
                const Number product = sum(c, terms);
                c.store(&y[at((t * n + i) * m + j)], bias.empty() ? product : c.add(product, c.load(&bias[at(j)])));
            }
}

void counted_fold(Counter& c, const std::string& function, std::span<const double> x, int64_t outer, int64_t length,
                  int64_t inner, std::span<double> y) {
    const bool softmax = function == "softmax", logarithm = function == "log_softmax", like = softmax || logarithm;
    check(outer >= 0 && length >= 1 && inner >= 0, "fold: expected length >= 1, got ", outer, "x", length, "x", inner);
    check_size(x, outer * length * inner, "fold: x");
    check_size(y, outer * (like ? length : 1) * inner, "fold: y");
    for (int64_t o = 0; o < outer; ++o)
        for (int64_t i = 0; i < inner; ++i) {
            Numbers terms;
            for (int64_t l = 0; l < length; ++l) terms.push_back(c.load(&x[at((o * length + l) * inner + i)]));
            if (!like) {
                c.store(&y[at(o * inner + i)], reduced(c, terms, reduce_named(function)));
                continue;
            }
            Numbers scratch = terms;
            const Number top = largest(c, scratch);
            Numbers shifted = terms;
            for (Number& value : shifted) value = c.subtract(value, top);
            Numbers powers = shifted;
            for (Number& value : powers) value = exponential(c, value);
            scratch = powers;
            Number total = sum(c, scratch);
            if (logarithm) total = c.special(std::log(total.value), total);
            for (int64_t l = 0; l < length; ++l)
                c.store(&y[at((o * length + l) * inner + i)],
                        softmax ? c.divide(powers[at(l)], total) : c.subtract(shifted[at(l)], total));
        }
}

}  // namespace moiety::graph
