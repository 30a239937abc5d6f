#include "mpc/pattern.hpp"

#include "core/check.hpp"
#include "core/parallel.hpp"

namespace moiety::mpc {

void Pattern::validate() const {
    check(indptr.size() >= 2 && indptr.front() == 0 && indptr.back() == entries(),
          "a sparse pattern has at least two pointers, from 0 to its ", entries(), " entries, got ", indptr.size(),
          indptr.empty() ? "" : " of which the last is ", indptr.empty() ? 0 : indptr.back());
    check(rows() <= INT32_MAX && entries() <= INT32_MAX && columns > 0 && columns <= INT32_MAX,
          "a sparse pattern has 1 to 2^31 rows, columns and entries, got ", rows(), ", ", columns, " and ", entries());
    for (int64_t row = 0; row < rows(); ++row)
        check(indptr[static_cast<size_t>(row)] <= indptr[static_cast<size_t>(row) + 1],
              "the pointers of a sparse "
              "pattern rise, but fall at row ",
              row);
    for (int32_t column : indices)
        check(column >= 0 && column < columns, "a sparse pattern of ", columns, " columns has an entry in column ",
              column);
}

template <class T>
void multiply_add(const Pattern& pattern, const T* values, const T* x, int64_t channels, int threads, T* out) {
    parallel_for(pattern.rows(), 256, threads, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            T* to = out + row * channels;
            for (int64_t entry = pattern.indptr[static_cast<size_t>(row)];
                 entry < pattern.indptr[static_cast<size_t>(row) + 1]; ++entry) {
                const T value = values[entry];
                const T* from = x + pattern.indices[static_cast<size_t>(entry)] * channels;
                for (int64_t c = 0; c < channels; ++c) to[c] += value * from[c];
            }
        }
    });
}

template void multiply_add(const Pattern&, const uint32_t*, const uint32_t*, int64_t, int, uint32_t*);
template void multiply_add(const Pattern&, const uint64_t*, const uint64_t*, int64_t, int, uint64_t*);

}  // namespace moiety::mpc
