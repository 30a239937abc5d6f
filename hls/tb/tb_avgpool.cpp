#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "avgpool", [](const bench::Vectors& v, bench::Checker& check) {
        moiety::Pool pool;
        for (int d = 0; d < 3; ++d) {
            const std::string axis = std::to_string(d);
            pool.in[d] = v.value("in" + axis);
            pool.kernel[d] = v.value("kernel" + axis);
            pool.stride[d] = v.value("stride" + axis);
            pool.padding[d] = v.value("padding" + axis);
            pool.out[d] = v.value("out" + axis);
        }
        for (const std::string me : bench::parties) {
            const auto x = v.get<Element>(me + "x"), y = v.get<Element>(me + "y");
            std::vector<Element> found(y.size());
            const int planes = v.value("planes"), half = planes / 2;
            avgpool(x.data(), pool, 0, half, found.data());
            avgpool(x.data(), pool, half, planes - half, found.data());
            for (size_t i = 0; i < y.size(); ++i) check.equal("sum", i, found[i], y[i]);
        }
    });
}
