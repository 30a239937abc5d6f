// Kernels that count what they do: the instruments that the analyser's closed forms are held against.
//
// Every kernel is the plain scalar algorithm of its name, written over a `Counter` that does the arithmetic and the
// memory accesses and counts them. A number carries the longest chain of operations that led to it, and sums, maxima
// and minima are balanced trees, so the depth that comes out is the longest path of the operations' own graph: what
// Besta & Hoefler (arXiv 2205.09702, section 2.7) call depth, found by walking and not by a formula.
//
// Counted: an addition or subtraction, a multiplication, a comparison (max and min too), and a `special` operation
// (division, exp, log, sqrt, tanh, erf) is one operation each. A load or a store is the bytes of one element; nothing
// is kept from one use to the next but what the comment of a kernel says, so the bytes are the traffic without any
// reuse. Each kernel ends in one barrier. Row pointers are 8 bytes, column indices `index_bytes`.
//
// Arrays are row-major, features in `heads` groups of `width`. Values are doubles here whatever they stand for; `word`
// says how many bytes an element has there. One thread, no speed: for graphs of some thousand edges.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/csr.hpp"

namespace moiety::graph {

struct Tally {
    int64_t edges = 0, multiplies = 0, adds = 0, compares = 0, specials = 0;
    int64_t loaded = 0, stored = 0;  // bytes
    int64_t barriers = 0, depth = 0;
};

// A value and the longest chain of operations behind it.
struct Number {
    double value = 0;
    int64_t depth = 0;
};

class Counter {
  public:
    Counter(int64_t word, int64_t index_bytes);

    Number load(const double* p) {
        tally.loaded += word_;
        return {*p, 0};
    }
    int64_t load_index(const int64_t* p) {
        tally.loaded += index_bytes_;
        return *p;
    }
    int64_t load_pointer(const int64_t* p) {
        tally.loaded += 8;
        return *p;
    }
    void store(double* p, Number x) {
        tally.stored += word_;
        if (x.depth > tally.depth) tally.depth = x.depth;
        *p = x.value;
    }

    // An intermediate result that goes to memory and comes back, its chain of operations with it.
    Number keep(Number x) {
        tally.stored += word_;
        return x;
    }
    Number reload(Number x) {
        tally.loaded += word_;
        return x;
    }

    Number add(Number a, Number b);
    Number subtract(Number a, Number b);
    Number multiply(Number a, Number b);
    Number maximum(Number a, Number b);
    Number minimum(Number a, Number b);
    Number divide(Number a, Number b);
    Number special(double value, Number of);  // value = f(of.value), for a function of one argument

    Tally tally;

  private:
    int64_t word_, index_bytes_;
};

enum class Reduce { sum, mean, max, min };
Reduce reduce_named(const std::string& name);  // "sum", "mean", "max", "min"; Error for others

// x of `nodes` x heads x width.
struct Features {
    std::span<const double> x;
    int64_t heads = 1, width = 1;

    int64_t size() const { return heads * width; }
    void validate(int64_t nodes, const char* what) const;
};

// y_i = reduce_e w_e x_j over the edges e = (i <- j); `weights` has none, one an edge, or one an edge and head. Empty
// rows give 0.
void counted_spmm(Counter& c, const Csr<int64_t>& p, std::span<const double> weights, const Features& x, Reduce reduce,
                  std::span<double> y);
// z_e = <x_i, y_j> for each head. x_i is loaded once a row.
void counted_sddmm(Counter& c, const Csr<int64_t>& p, const Features& x, const Features& y, std::span<double> z);
// Softmax of the scores (edges x heads) over every row's edges; a score is loaded once.
void counted_edge_softmax(Counter& c, const Csr<int64_t>& p, std::span<const double> scores, int64_t heads,
                          std::span<double> z);
// ds_e = a_e (da_e - sum over the row of a da).
void counted_edge_softmax_backward(Counter& c, const Csr<int64_t>& p, std::span<const double> alpha,
                                   std::span<const double> dalpha, int64_t heads, std::span<double> dscores);

// What the gradient of graph attention needs (csrc/graph/gat.hpp): L and q, nodes x heads, and p like y; none of any
// elements when no gradient is wanted.
struct CountedGatSaved {
    std::span<double> log_sum, positive, share;
};

// y_i = sum_e softmax_e(leaky(s_j + t_i)) x_j: numerator and denominator are summed and then divided. t_i is loaded
// once a row, and the scores of a row are kept.
void counted_gat(Counter& c, const Csr<int64_t>& p, const Features& x, std::span<const double> score_source,
                 std::span<const double> score_target, double slope, std::span<double> y, const CountedGatSaved& saved);

struct CountedGatInputs {
    Features x, y, dy;
    std::span<const double> score_source, score_target, log_sum, positive, share;
    double slope = 0;
};

// The gradients as csrc/graph/gat.hpp has them: one pass over targets (delta and dscore_target), a barrier, and one
// over the edges by source, where s_j and x_j are loaded once a row.
void counted_gat_backward(Counter& c, const Csr<int64_t>& by_source, const CountedGatInputs& in, std::span<double> dx,
                          std::span<double> dscore_source, std::span<double> dscore_target);
// y_e = x[index_e].
void counted_gather(Counter& c, std::span<const int64_t> index, const Features& x, std::span<double> y);
// y[index_e] = y[index_e] + x_e, or the maximum or minimum of both; a row of y that an index names is loaded and stored
// once. Without `itself` what was in such a row does not count and is not loaded.
void counted_scatter(Counter& c, std::span<const int64_t> index, const Features& x, Reduce reduce, bool itself,
                     std::span<double> y);
// y = a b (+ bias), a: batch x n x k, b: batch x k x m, bias: m entries or none.
void counted_gemm(Counter& c, std::span<const double> a, std::span<const double> b, std::span<const double> bias,
                  int64_t batch, int64_t n, int64_t k, int64_t m, std::span<double> y);
// y = f(x...) element by element, f one of `counted_functions()`; `scalars` are its constants, which are not loaded.
void counted_map(Counter& c, const std::string& function, const std::vector<std::span<const double>>& x,
                 std::span<const double> scalars, std::span<double> y);
std::vector<std::string> counted_functions();
// Over the middle axis of outer x length x inner: sum, mean, max, min (y: outer x inner), softmax, log_softmax (y like
// x).
void counted_fold(Counter& c, const std::string& function, std::span<const double> x, int64_t outer, int64_t length,
                  int64_t inner, std::span<double> y);

}  // namespace moiety::graph
