// Images and their derivatives at every level, against sums in the plainest order; sizes around the vectors' lengths.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.hpp"
#include "core/cpu.hpp"
#include "topology/image.hpp"

using namespace moiety;

namespace {

// Numbers in [-1, 1] that repeat after a long time.
template <class T>
std::vector<T> numbers(int64_t count, int64_t seed) {
    std::vector<T> found;
    for (int64_t i = 0; i < count; ++i)
        found.push_back(static_cast<T>(std::sin(static_cast<double>(i * i + 7 * seed))));
    return found;
}

template <class T>
void compare(int64_t terms, int64_t side) {
    const int64_t images = 3, rights = 2, pixels = side * side, step = terms * side;
    const auto left = numbers<T>(images * step, 1), right = numbers<T>(rights * step, 2);
    const auto dy = numbers<T>(images * pixels, 3);
    const std::vector<int64_t> own = {1, 0, 1};
    const topology::Factors<T> f{images, rights, terms, side, left.data(), right.data(), own.data()};
    const double error = 20 * static_cast<double>(terms + side) * std::numeric_limits<T>::epsilon();
    std::vector<T> y(images * pixels), scaled(images * pixels), scale(images), dleft(images * step),
        dright(images * step);
    std::vector<int64_t> at(2 * images);
    topology::render<T>(f, false, y.data(), nullptr, nullptr, 1);
    topology::render<T>(f, true, scaled.data(), at.data(), scale.data(), 2);
    topology::render_backward<T>(f, nullptr, nullptr, nullptr, dy.data(), dleft.data(), dright.data(), 1);
    for (int64_t b = 0; b < images; ++b) {
        const T* l = left.data() + b * step;
        const T* r = right.data() + own[b] * step;
        const T* image = y.data() + b * pixels;
        const T low = *std::min_element(image, image + pixels), high = *std::max_element(image, image + pixels);
        EXPECT(image[at[2 * b]] == low && image[at[2 * b + 1]] == high);
        EXPECT(std::abs(scale[b] - (high > low ? 1 / (high - low) : 0)) <= error * std::abs(scale[b]));
        for (int64_t p = 0; p < side; ++p)
            for (int64_t q = 0; q < side; ++q) {
                double sum = 0;
                for (int64_t k = 0; k < terms; ++k) sum += double(l[k * side + p]) * r[k * side + q];
                EXPECT(std::abs(image[p * side + q] - sum) <= error);
                const T wanted = (image[p * side + q] - low) * scale[b];
                EXPECT(std::abs(scaled[b * pixels + p * side + q] - wanted) <= error);
            }
        for (int64_t k = 0; k < terms; ++k)
            for (int64_t p = 0; p < side; ++p) {
                double by_left = 0, by_right = 0;
                for (int64_t q = 0; q < side; ++q) {
                    by_left += double(dy[b * pixels + p * side + q]) * r[k * side + q];
                    by_right += double(dy[b * pixels + q * side + p]) * l[k * side + q];
                }
                EXPECT(std::abs(dleft[b * step + k * side + p] - by_left) <= error);
                EXPECT(std::abs(dright[b * step + k * side + p] - by_right) <= error);
            }
    }
    // A sum of scaled images has the derivative that the scale leaves: nothing for the places of least and most.
    std::fill(y.begin(), y.end(), T(0));
    for (int64_t b = 0; b < images; ++b) y[b * pixels + at[2 * b]] = y[b * pixels + at[2 * b + 1]] = 1;
    topology::render_backward<T>(f, scaled.data(), at.data(), scale.data(), y.data(), dleft.data(), dright.data(), 1);
    if (side > 1)
        for (T d : dleft) EXPECT(std::abs(d) <= error * *std::max_element(scale.begin(), scale.end()));
}

}  // namespace

int main() {
    const Isa before = isa();
    for (Isa level : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if (level > before) continue;
        set_isa(level);
        for (int64_t terms : {0, 1, 5, 9})
            for (int64_t side : {1, 2, 7, 8, 17, 33}) {
                compare<float>(terms, side);
                compare<double>(terms, side);
            }
    }
    set_isa(before);
    return test::report();
}
