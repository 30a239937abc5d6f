#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "linear_tile", [](const bench::Vectors& v, bench::Checker& check) {
        moiety::Conv conv;
        conv.in_channels = v.value("in_channels");
        conv.out_channels = v.value("out_channels");
        conv.groups = v.value("groups");
        for (int d = 0; d < 3; ++d) {
            const std::string axis = std::to_string(d);
            conv.in[d] = v.value("in" + axis);
            conv.kernel[d] = v.value("kernel" + axis);
            conv.stride[d] = v.value("stride" + axis);
            conv.padding[d] = v.value("padding" + axis);
            conv.dilation[d] = v.value("dilation" + axis);
            conv.out[d] = v.value("out" + axis);
        }
        const auto bias = v.get<Element>("server.bias");
        for (int party = 0; party < 2; ++party) {
            const std::string me = bench::parties[party];
            const auto x = v.get<Element>(me + "x"), w = v.get<Element>(me + "w"), c = v.get<Element>(me + "c");
            const auto y = v.get<Element>(me + "y");
            std::vector<Element> found(y.size());
            // Boxes that are no multiple of the multipliers, and the last ones smaller still.
            const int per_group = conv.out_channels / conv.groups, plane = conv.out_plane();
            for (int first = 0; first < conv.out_channels;) {
                const int left = per_group - first % per_group, channels = left < 20 ? left : 20;
                for (int at = 0; at < plane; at += 99) {
                    const moiety::Box box{first, channels, at, plane - at < 99 ? plane - at : 99};
                    linear_tile(x.data(), w.data(), c.data(), bias.data(), party == 0 ? v.value("bias") : 0, conv, box,
                                found.data());
                }
                first += channels;
            }
            for (size_t i = 0; i < y.size(); ++i) check.equal("product", i, found[i], y[i]);
        }
    });
}
