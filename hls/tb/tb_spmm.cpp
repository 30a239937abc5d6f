#include <moiety/tops.hpp>

#include "vectors.hpp"

int main(int count, char** arguments) {
    return bench::main(count, arguments, "spmm", [](const bench::Vectors& v, bench::Checker& check) {
        const moiety::Sparse matrix{v.value("rows"), v.value("columns"), v.value("steps"), v.value("weighted") != 0};
        const auto indptr = v.get<ap_uint<32>>("indptr"), indices = v.get<ap_uint<32>>("indices");
        const auto values = v.get<Element>("values");
        for (const std::string me : bench::parties) {
            const auto x = v.get<Element>(me + "x"), y = v.get<Element>(me + "y");
            std::vector<Element> found(y.size());
            // Channels that are no multiple of the lanes, and a call for one channel.
            const int channels = v.value("channels"), most = channels > 1 ? channels - 1 : 1;
            for (int first = 0; first < channels; first += most)
                spmm(x.data() + first * matrix.columns, indptr.data(), indices.data(), values.data(), matrix,
                     first + most < channels ? most : channels - first, found.data() + first * matrix.rows);
            for (size_t i = 0; i < y.size(); ++i) check.equal("product", i, found[i], y[i]);
        }
    });
}
