// The kernels of the quadratic activation over the Vector of the file that includes this one after its vector_*.hpp.
#pragma once

#include "nn/quadratic_kernels.hpp"

namespace moiety::nn {
namespace {

using R = Vector::Register;

// A lane's float32 sum takes this many terms before it goes to double.
constexpr int64_t terms_a_lane = 256;
// Rows walked side by side, so that the sums of a column are loaded and stored once for all.
constexpr int64_t rows_at_once = 4;

struct Lanes {
    R w1, w2, b, r;

    static Lanes of(const Quadratic& c) {
        return {Vector::broadcast(c.w1), Vector::broadcast(c.w2), Vector::broadcast(c.b), Vector::broadcast(c.r)};
    }
    static Lanes at(const float* table, int64_t period, int64_t column) {
        return {Vector::load(table + column), Vector::load(table + period + column),
                Vector::load(table + 2 * period + column), Vector::load(table + 3 * period + column)};
    }
};

struct Sums {
    R w1 = Vector::zero(), w2 = Vector::zero(), b = Vector::zero(), r = Vector::zero();
};

// Horner's form: x^2 alone would overflow for inputs whose coefficient w1 is zero.
template <bool Hinge>
inline R value(R x, const Lanes& c) {
    R y = Vector::multiply_add(Vector::multiply_add(c.w1, x, c.w2), x, c.b);
    if constexpr (Hinge) y = Vector::multiply_add(c.r, Vector::max(x, Vector::zero()), y);
    return y;
}

template <bool Hinge>
inline R gradient(R x, R dy, const Lanes& c, Sums& sums) {
    const R weighted = Vector::multiply(dy, x);
    sums.w1 = Vector::multiply_add(weighted, x, sums.w1);
    sums.w2 = Vector::add(sums.w2, weighted);
    sums.b = Vector::add(sums.b, dy);
    R slope = Vector::multiply_add(Vector::add(c.w1, c.w1), x, c.w2);
    if constexpr (Hinge) {
        sums.r = Vector::add(sums.r, Vector::where_positive(x, weighted));
        slope = Vector::add(slope, Vector::where_positive(x, c.r));
    }
    return Vector::multiply(dy, slope);
}

template <bool Stream, class T>
inline void write(T* p, R v) {
    if constexpr (Stream)
        Vector::stream(p, v);
    else
        Vector::store(p, v);
}

// Elements of p in front of the first that is aligned to a vector; n where there is none.
template <class T>
inline int64_t misaligned(const T* p, int64_t n) {
    const uintptr_t size = static_cast<uintptr_t>(Vector::lanes) * sizeof(T);
    const uintptr_t bytes = (size - reinterpret_cast<uintptr_t>(p) % size) % size;
    const int64_t count = static_cast<int64_t>(bytes / sizeof(T));
    return bytes % sizeof(T) == 0 && count < n ? count : n;
}

template <bool Hinge, bool Stream, class T>
void forward_run_of(const T* x, T* y, int64_t n, const Quadratic& coefficients) {
    const Lanes c = Lanes::of(coefficients);
    int64_t i = 0;
    if constexpr (Stream) {
        i = misaligned(y, n);
        for (int64_t j = 0; j < i; j += Vector::lanes) {
            const int64_t count = i - j < Vector::lanes ? i - j : Vector::lanes;
            Vector::store_partial(y + j, value<Hinge>(Vector::load_partial(x + j, count), c), count);
        }
    }
    for (; i + 2 * Vector::lanes <= n; i += 2 * Vector::lanes) {
        const R first = value<Hinge>(Vector::load(x + i), c);
        const R second = value<Hinge>(Vector::load(x + i + Vector::lanes), c);
        write<Stream>(y + i, first);
        write<Stream>(y + i + Vector::lanes, second);
    }
    for (; i < n; i += Vector::lanes) {
        const int64_t count = n - i < Vector::lanes ? n - i : Vector::lanes;
        Vector::store_partial(y + i, value<Hinge>(Vector::load_partial(x + i, count), c), count);
    }
}

template <bool Hinge, class T>
inline void gradient_partial(const T* x, const T* dy, T* dx, int64_t count, const Lanes& c, Sums& sums) {
    Vector::store_partial(dx, gradient<Hinge>(Vector::load_partial(x, count), Vector::load_partial(dy, count), c, sums),
                          count);
}

template <bool Hinge, bool Stream, class T>
void backward_run_of(const T* x, const T* dy, T* dx, int64_t n, const Quadratic& coefficients, double* totals) {
    constexpr int64_t lanes = Vector::lanes, block = terms_a_lane * lanes;
    const Lanes c = Lanes::of(coefficients);
    int64_t i = 0;
    const auto flush = [&](const Sums& sums) {
        totals[0] += static_cast<double>(Vector::sum(sums.w1));
        totals[1] += static_cast<double>(Vector::sum(sums.w2));
        totals[2] += static_cast<double>(Vector::sum(sums.b));
        if constexpr (Hinge) totals[3] += static_cast<double>(Vector::sum(sums.r));
    };
    if constexpr (Stream) {
        Sums sums;
        for (const int64_t head = misaligned(dx, n); i < head;) {
            const int64_t count = head - i < lanes ? head - i : lanes;
            gradient_partial<Hinge>(x + i, dy + i, dx + i, count, c, sums);
            i += count;
        }
        flush(sums);
    }
    while (i < n) {
        const int64_t end = n - i < block ? n : i + block;
        Sums even, odd;
        for (; i + 2 * lanes <= end; i += 2 * lanes) {
            write<Stream>(dx + i, gradient<Hinge>(Vector::load(x + i), Vector::load(dy + i), c, even));
            write<Stream>(dx + i + lanes,
                          gradient<Hinge>(Vector::load(x + i + lanes), Vector::load(dy + i + lanes), c, odd));
        }
        while (i < end) {
            const int64_t count = end - i < lanes ? end - i : lanes;
            gradient_partial<Hinge>(x + i, dy + i, dx + i, count, c, even);
            i += count;
        }
        even.w1 = Vector::add(even.w1, odd.w1);
        even.w2 = Vector::add(even.w2, odd.w2);
        even.b = Vector::add(even.b, odd.b);
        even.r = Vector::add(even.r, odd.r);
        flush(even);
    }
}

// Streaming needs aligned rows, which the first row's alignment gives: a period is a whole number of vectors.
template <bool Hinge, bool Stream, class T>
void forward_rows_of(const T* x, T* y, int64_t n, int64_t period, const float* table) {
    constexpr int64_t lanes = Vector::lanes;
    int64_t begin = 0;
    for (; begin + rows_at_once * period <= n; begin += rows_at_once * period)
        for (int64_t column = 0; column < period; column += lanes) {
            const Lanes c = Lanes::at(table, period, column);
            for (int64_t row = 0; row < rows_at_once; ++row) {
                const int64_t i = begin + row * period + column;
                write<Stream>(y + i, value<Hinge>(Vector::load(x + i), c));
            }
        }
    for (; begin < n; begin += period) {
        const int64_t length = n - begin < period ? n - begin : period;
        for (int64_t column = 0; column < length; column += lanes) {
            const int64_t count = length - column < lanes ? length - column : lanes, i = begin + column;
            const Lanes c = Lanes::at(table, period, column);
            Vector::store_partial(y + i, value<Hinge>(Vector::load_partial(x + i, count), c), count);
        }
    }
}

template <bool Hinge>
inline Sums load_sums(const float* scratch, int64_t period) {
    Sums sums;
    sums.w1 = Vector::load(scratch);
    sums.w2 = Vector::load(scratch + period);
    sums.b = Vector::load(scratch + 2 * period);
    if constexpr (Hinge) sums.r = Vector::load(scratch + 3 * period);
    return sums;
}

template <bool Hinge>
inline void store_sums(float* scratch, int64_t period, const Sums& sums) {
    Vector::store(scratch, sums.w1);
    Vector::store(scratch + period, sums.w2);
    Vector::store(scratch + 2 * period, sums.b);
    if constexpr (Hinge) Vector::store(scratch + 3 * period, sums.r);
}

template <bool Hinge, bool Stream, class T>
void backward_rows_of(const T* x, const T* dy, T* dx, int64_t n, int64_t period, const float* table, float* scratch,
                      double* totals) {
    constexpr int64_t lanes = Vector::lanes, terms = Hinge ? 4 : 3;
    const auto clear = [&] {
        for (int64_t i = 0; i < terms * period; i += lanes) Vector::store(scratch + i, Vector::zero());
    };
    const auto flush = [&] {
        for (int64_t i = 0; i < terms * period; i += lanes) Vector::add_to(totals + i, Vector::load(scratch + i));
    };
    clear();
    int64_t begin = 0, held = 0;
    for (; begin + rows_at_once * period <= n; begin += rows_at_once * period) {
        for (int64_t column = 0; column < period; column += lanes) {
            const Lanes c = Lanes::at(table, period, column);
            Sums sums = load_sums<Hinge>(scratch + column, period);
            for (int64_t row = 0; row < rows_at_once; ++row) {
                const int64_t i = begin + row * period + column;
                write<Stream>(dx + i, gradient<Hinge>(Vector::load(x + i), Vector::load(dy + i), c, sums));
            }
            store_sums<Hinge>(scratch + column, period, sums);
        }
        held += rows_at_once;
        if (held >= terms_a_lane) {
            flush();
            clear();
            held = 0;
        }
    }
    for (; begin < n; begin += period) {
        const int64_t length = n - begin < period ? n - begin : period;
        for (int64_t column = 0; column < length; column += lanes) {
            const int64_t count = length - column < lanes ? length - column : lanes, i = begin + column;
            Sums sums = load_sums<Hinge>(scratch + column, period);
            gradient_partial<Hinge>(x + i, dy + i, dx + i, count, Lanes::at(table, period, column), sums);
            store_sums<Hinge>(scratch + column, period, sums);
        }
    }
    flush();
}

// Calls f<Hinge, Stream>.
template <class F>
inline void choose(bool hinge, bool stream, F f) {
    using True = std::true_type;
    using False = std::false_type;
    if (hinge)
        stream ? f(True{}, True{}) : f(True{}, False{});
    else
        stream ? f(False{}, True{}) : f(False{}, False{});
}

template <class T>
void forward_run(const T* x, T* y, int64_t n, const Quadratic& c, bool hinge, bool stream) {
    choose(hinge, stream, [&](auto h, auto s) { forward_run_of<h.value, s.value>(x, y, n, c); });
}

template <class T>
void backward_run(const T* x, const T* dy, T* dx, int64_t n, const Quadratic& c, bool hinge, bool stream,
                  double* sums) {
    choose(hinge, stream, [&](auto h, auto s) { backward_run_of<h.value, s.value>(x, dy, dx, n, c, sums); });
}

template <class T>
void forward_rows(const T* x, T* y, int64_t n, int64_t period, const float* table, bool hinge, bool stream) {
    stream = stream && misaligned(y, n) == 0;
    choose(hinge, stream, [&](auto h, auto s) { forward_rows_of<h.value, s.value>(x, y, n, period, table); });
}

template <class T>
void backward_rows(const T* x, const T* dy, T* dx, int64_t n, int64_t period, const float* table, bool hinge,
                   bool stream, float* scratch, double* sums) {
    stream = stream && misaligned(dx, n) == 0;
    choose(hinge, stream,
           [&](auto h, auto s) { backward_rows_of<h.value, s.value>(x, dy, dx, n, period, table, scratch, sums); });
}

template <class T>
constexpr QuadraticKernels<T> quadratic_table{Vector::lanes, forward_run<T>, backward_run<T>, forward_rows<T>,
                                              backward_rows<T>};

}  // namespace
}  // namespace moiety::nn
