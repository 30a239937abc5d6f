#include <algorithm>
#include <initializer_list>
#include <sstream>

#include "core/check.hpp"
#include "ring/conv.hpp"

namespace moiety::ring {
namespace {

int64_t product(const std::array<int64_t, 3>& a) { return a[0] * a[1] * a[2]; }

// True when the product of the factors (all positive) fits in an int64_t with room for the size of an element.
bool fits(std::initializer_list<int64_t> factors) {
    int64_t result = 8;
    for (int64_t factor : factors)
        if (__builtin_mul_overflow(result, factor, &result)) return false;
    return true;
}

void print(std::ostream& out, const char* name, const std::array<int64_t, 3>& a) {
    out << ' ' << name << ' ' << a[0] << 'x' << a[1] << 'x' << a[2];
}

}  // namespace

std::array<int64_t, 3> ConvShape::out() const {
    std::array<int64_t, 3> result{};
    for (size_t d = 0; d < 3; ++d) {
        const int64_t reach = dilation[d] * (kernel[d] - 1);
        result[d] = transposed ? (in[d] - 1) * stride[d] - 2 * padding[d] + reach + output_padding[d] + 1
                    : in[d] + 2 * padding[d] - reach < 1 ? 0
                                                         : (in[d] + 2 * padding[d] - reach - 1) / stride[d] + 1;
    }
    return result;
}

int64_t ConvShape::in_size() const { return batch * in_channels * product(in); }

int64_t ConvShape::weight_size() const { return in_channels * out_channels / groups * product(kernel); }

int64_t ConvShape::out_size() const { return batch * out_channels * product(out()); }

int64_t ConvShape::macs() const {
    const int64_t per_point = product(kernel) * (in_channels / groups) * out_channels;
    return batch * per_point * product(transposed ? in : out());
}

void ConvShape::validate() const {
    constexpr int64_t limit = int64_t{1} << 40;  // keeps the arithmetic of out() far from overflow
    const auto within = [](int64_t value, int64_t least) { return value >= least && value <= limit; };
    check(within(batch, 1) && within(in_channels, 1) && within(out_channels, 1) && within(groups, 1),
          "conv: expected positive batch, channels and groups, got ", describe());
    check(in_channels % groups == 0 && out_channels % groups == 0,
          "conv: expected groups to divide both channel counts, got ", describe());
    for (size_t d = 0; d < 3; ++d) {
        check(within(in[d], 1) && within(kernel[d], 1) && within(stride[d], 1) && within(dilation[d], 1) &&
                  within(padding[d], 0) && within(output_padding[d], 0),
              "conv: expected positive input, kernel, stride and dilation and padding >= 0, got ", describe());
        check(fits({dilation[d], kernel[d]}) && fits({in[d], stride[d]}), "conv: sizes overflow: ", describe());
        check(output_padding[d] == 0 || (transposed && output_padding[d] < std::max(stride[d], dilation[d])),
              "conv: expected output_padding below stride or dilation, and only when transposed, got ", describe());
    }
    const std::array<int64_t, 3> o = out();
    check(o[0] >= 1 && o[1] >= 1 && o[2] >= 1, "conv: the output would be empty: ", describe());
    check(fits({batch, in_channels, in[0], in[1], in[2]}) &&
              fits({in_channels, out_channels, kernel[0], kernel[1], kernel[2]}) &&
              fits({batch, out_channels, o[0], o[1], o[2]}),
          "conv: sizes overflow: ", describe());
}

std::string ConvShape::describe() const {
    std::ostringstream text;
    text << (transposed ? "transposed convolution" : "convolution") << ": batch " << batch << " channels "
         << in_channels << "->" << out_channels << " groups " << groups;
    print(text, "input", in);
    print(text, "kernel", kernel);
    print(text, "stride", stride);
    print(text, "padding", padding);
    print(text, "dilation", dilation);
    if (transposed) print(text, "output padding", output_padding);
    return text.str();
}

}  // namespace moiety::ring
