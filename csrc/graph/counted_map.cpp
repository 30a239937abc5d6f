// Functions of elements, written in the operations that a Counter knows.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/check.hpp"
#include "graph/counted.hpp"

namespace moiety::graph {
namespace {

using Operands = std::vector<Number>;
using Apply = Number (*)(Counter&, const Operands& x, const Operands& s);

struct Function {
    size_t operands, scalars;
    Apply apply;
};

constexpr Number zero{0, 0}, one{1, 0};

Number exponential(Counter& c, Number x) { return c.special(std::exp(x.value), x); }
Number sigmoid(Counter& c, Number x) { return c.divide(one, c.add(one, c.special(std::exp(-x.value), x))); }
Number choose(Counter& c, bool first, Number a, Number b, Number by) {  // a comparison decides between two values
    const Number kept = c.maximum(by, zero);
    return {first ? a.value : b.value, std::max({kept.depth, a.depth, b.depth})};
}

const std::map<std::string, Function>& functions() {
    static const std::map<std::string, Function> table{
        {"copy", {1, 0, [](Counter&, const Operands& x, const Operands&) { return x[0]; }}},
        {"fill", {0, 1, [](Counter&, const Operands&, const Operands& s) { return s[0]; }}},
        {"add", {2, 0, [](Counter& c, const Operands& x, const Operands&) { return c.add(x[0], x[1]); }}},
        {"add_scaled",
         {2, 1, [](Counter& c, const Operands& x, const Operands& s) { return c.add(x[0], c.multiply(x[1], s[0])); }}},
        {"subtract", {2, 0, [](Counter& c, const Operands& x, const Operands&) { return c.subtract(x[0], x[1]); }}},
        {"multiply", {2, 0, [](Counter& c, const Operands& x, const Operands&) { return c.multiply(x[0], x[1]); }}},
        {"divide", {2, 0, [](Counter& c, const Operands& x, const Operands&) { return c.divide(x[0], x[1]); }}},
        {"maximum", {2, 0, [](Counter& c, const Operands& x, const Operands&) { return c.maximum(x[0], x[1]); }}},
        {"minimum", {2, 0, [](Counter& c, const Operands& x, const Operands&) { return c.minimum(x[0], x[1]); }}},
        {"add_scalar", {1, 1, [](Counter& c, const Operands& x, const Operands& s) { return c.add(x[0], s[0]); }}},
        {"multiply_scalar",
         {1, 1, [](Counter& c, const Operands& x, const Operands& s) { return c.multiply(x[0], s[0]); }}},
        {"subtract_from",
         {1, 1, [](Counter& c, const Operands& x, const Operands& s) { return c.subtract(s[0], x[0]); }}},
        {"divide_scalar",
         {1, 1, [](Counter& c, const Operands& x, const Operands& s) { return c.divide(x[0], s[0]); }}},
        {"maximum_scalar",
         {1, 1, [](Counter& c, const Operands& x, const Operands& s) { return c.maximum(x[0], s[0]); }}},
        {"minimum_scalar",
         {1, 1, [](Counter& c, const Operands& x, const Operands& s) { return c.minimum(x[0], s[0]); }}},
        {"power",
         {1, 1,
          [](Counter& c, const Operands& x, const Operands& s) {
              return c.special(std::pow(x[0].value, s[0].value), x[0]);
          }}},
        {"square", {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.multiply(x[0], x[0]); }}},
        {"negate",
         {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.multiply(x[0], Number{-1, 0}); }}},
        {"absolute",
         {1, 0,
          [](Counter& c, const Operands& x, const Operands&) {
              return c.maximum(x[0], Number{-x[0].value, x[0].depth});
          }}},
        {"reciprocal", {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.divide(one, x[0]); }}},
        {"exp", {1, 0, [](Counter& c, const Operands& x, const Operands&) { return exponential(c, x[0]); }}},
        {"log",
         {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.special(std::log(x[0].value), x[0]); }}},
        {"sqrt",
         {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.special(std::sqrt(x[0].value), x[0]); }}},
        {"rsqrt",
         {1, 0,
          [](Counter& c, const Operands& x, const Operands&) {
              return c.divide(one, c.special(std::sqrt(x[0].value), x[0]));
          }}},
        {"tanh",
         {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.special(std::tanh(x[0].value), x[0]); }}},
        {"sigmoid", {1, 0, [](Counter& c, const Operands& x, const Operands&) { return sigmoid(c, x[0]); }}},
        {"relu", {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.maximum(x[0], zero); }}},
        {"leaky_relu",
         {1, 1,
          [](Counter& c, const Operands& x, const Operands& s) {
              return choose(c, x[0].value > 0, x[0], c.multiply(x[0], s[0]), x[0]);
          }}},
        {"elu",
         {1, 1,
          [](Counter& c, const Operands& x, const Operands& s) {
              const Number below = c.multiply(c.subtract(exponential(c, x[0]), one), s[0]);
              return choose(c, x[0].value > 0, x[0], below, x[0]);
          }}},
        {"silu",
         {1, 0, [](Counter& c, const Operands& x, const Operands&) { return c.multiply(x[0], sigmoid(c, x[0])); }}},
        {"gelu",
         {1, 0,
          [](Counter& c, const Operands& x, const Operands&) {
              const Number scaled = c.multiply(x[0], Number{std::sqrt(0.5), 0});
              const Number half = c.multiply(x[0], Number{0.5, 0});
              return c.multiply(half, c.add(one, c.special(std::erf(scaled.value), scaled)));
          }}},
        {"softplus",
         {1, 0,
          [](Counter& c, const Operands& x, const Operands&) {
              const Number power = c.add(one, exponential(c, x[0]));
              return c.special(std::log(power.value), power);
          }}},
        {"lerp",  // from x[0] to x[1]
         {2, 1,
          [](Counter& c, const Operands& x, const Operands& s) {
              return c.add(x[0], c.multiply(s[0], c.subtract(x[1], x[0])));
          }}},
        {"multiply_add",
         {3, 0, [](Counter& c, const Operands& x, const Operands&) { return c.add(c.multiply(x[0], x[1]), x[2]); }}},
        {"leaky_relu_backward",
         {2, 1,
          [](Counter& c, const Operands& x, const Operands& s) {
              return choose(c, x[1].value > 0, x[0], c.multiply(x[0], s[0]), x[1]);
          }}},
        {"elu_backward",
         {2, 1,
          [](Counter& c, const Operands& x, const Operands& s) {
              const Number below = c.multiply(x[0], c.multiply(exponential(c, x[1]), s[0]));
              return choose(c, x[1].value > 0, x[0], below, x[1]);
          }}},
        {"select",  // x[0] where x[2] is positive, else x[1]
         {3, 0,
          [](Counter& c, const Operands& x, const Operands&) { return choose(c, x[2].value > 0, x[0], x[1], x[2]); }}},
        {"relu_backward",  // of y and dy: dy where y > 0
         {2, 0,
          [](Counter& c, const Operands& x, const Operands&) { return choose(c, x[1].value > 0, x[0], zero, x[1]); }}},
        {"sigmoid_backward",
         {2, 0,
          [](Counter& c, const Operands& x, const Operands&) {
              return c.multiply(x[0], c.multiply(x[1], c.subtract(one, x[1])));
          }}},
        {"tanh_backward",
         {2, 0,
          [](Counter& c, const Operands& x, const Operands&) {
              return c.multiply(x[0], c.subtract(one, c.multiply(x[1], x[1])));
          }}},
    };
    return table;
}

}  // namespace

std::vector<std::string> counted_functions() {
    std::vector<std::string> names;
    for (const auto& [name, function] : functions()) names.push_back(name);
    return names;
}

void counted_map(Counter& c, const std::string& function, const std::vector<std::span<const double>>& x,
                 std::span<const double> scalars, std::span<double> y) {
    const auto found = functions().find(function);
    check(found != functions().end(), "map: expected one of counted_functions(), got ", function);
    const Function& f = found->second;
    check(x.size() == f.operands && scalars.size() == f.scalars, "map: ", function, ": expected ", f.operands,
          " operands and ", f.scalars, " scalars, got ", x.size(), " and ", scalars.size());
    for (const auto& operand : x)
        check(operand.size() == y.size(), "map: expected operands of ", y.size(), " elements, got ", operand.size());
    Operands constants;
    for (double s : scalars) constants.push_back({s, 0});
    for (size_t i = 0; i < y.size(); ++i) {
        Operands operands;
        for (const auto& operand : x) operands.push_back(c.load(&operand[i]));
        c.store(&y[i], f.apply(c, operands, constants));
    }
}

}  // namespace moiety::graph
