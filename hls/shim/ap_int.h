// ap_uint<N> and ap_int<N> for C simulation without a vendor's tool: integers of 1 to 128 bits, as far as the kernels
// use them.
//
// The rules of the original that matter for agreement are kept: a sum has one bit more than its wider operand, a
// product the bits of both, a difference is signed, bitwise operations and shifts keep the width, assignment wraps.
// Results wider than 128 bits do not compile. Anything missing here does not compile either, so a kernel that passes
// with this header and behaves differently with another one has met a difference that tests/hls compares for.
#pragma once

#include <cstdint>
#include <type_traits>

template <int N, bool S>
class ap_number;
template <int N>
class ap_uint;
template <int N>
class ap_int;

namespace moiety_shim {

using Wide = unsigned __int128;

template <int N>
using Storage = std::conditional_t<
    (N <= 8), uint8_t,
    std::conditional_t<(N <= 16), uint16_t,
                       std::conditional_t<(N <= 32), uint32_t, std::conditional_t<(N <= 64), uint64_t, Wide>>>>;

template <class I>
using IsInteger = std::enable_if_t<std::is_integral_v<I>, int>;

// The number type that a C++ integer stands for in an expression.
template <class I>
using NumberOf = ap_number<std::is_same_v<I, bool> ? 1 : 8 * static_cast<int>(sizeof(I)), std::is_signed_v<I>>;

constexpr int larger(int a, int b) { return a > b ? a : b; }

// Bits that hold both operands: an unsigned one needs one more beside a signed one.
template <int N, bool S, int M, bool Q>
constexpr int common = larger(N + (Q && !S), M + (S && !Q));

// Bits high..low of a number, to be read or written.
template <int N, bool S>
class Range {
  public:
    Range(ap_number<N, S>& number, int high, int low) : number_(number), high_(high), low_(low) {}
    Wide value() const { return (number_.raw() >> low_) & mask(); }
    operator ap_number<N, false>() const { return ap_number<N, false>::wrapped(value()); }
    template <class V>
    Range& operator=(const V& v) {
        return set(ap_number<N, false>(v).raw());
    }
    Range& operator=(const Range& other) { return set(other.value()); }

  private:
    Wide mask() const { return high_ - low_ >= 127 ? ~Wide{0} : (Wide{1} << (high_ - low_ + 1)) - 1; }
    Range& set(Wide v) {
        number_ = ap_number<N, S>::wrapped((Wide{number_.raw()} & ~(mask() << low_)) | ((v & mask()) << low_));
        return *this;
    }
    ap_number<N, S>& number_;
    int high_, low_;
};

// One bit of a number, to be read or written.
template <int N, bool S>
class Bit {
  public:
    Bit(ap_number<N, S>& number, int at) : number_(number), at_(at) {}
    operator bool() const { return ((number_.raw() >> at_) & 1) != 0; }
    Bit& operator=(bool on) {
        const Wide bit = Wide{1} << at_;
        number_ = ap_number<N, S>::wrapped(on ? number_.raw() | bit : number_.raw() & ~bit);
        return *this;
    }
    Bit& operator=(const Bit& other) { return *this = static_cast<bool>(other); }

  private:
    ap_number<N, S>& number_;
    int at_;
};

}  // namespace moiety_shim

template <int N, bool S>
class ap_number {
    static_assert(N >= 1 && N <= 128, "this stand-in has 1 to 128 bits");
    using Wide = moiety_shim::Wide;

  public:
    using Raw = moiety_shim::Storage<N>;
    static constexpr int width = N;

    ap_number() = default;
    template <class I, moiety_shim::IsInteger<I> = 0>
    constexpr ap_number(I v) : raw_(wrap(static_cast<Wide>(v))) {}
    template <int M, bool Q>
    constexpr ap_number(const ap_number<M, Q>& other) : raw_(wrap(other.value())) {}
    template <int M, bool Q>
    ap_number(const moiety_shim::Range<M, Q>& range) : raw_(wrap(range.value())) {}
    static constexpr ap_number wrapped(Wide v) {
        ap_number made{};
        made.raw_ = wrap(v);
        return made;
    }

    // The N bits, zero above; and the same extended by the sign.
    constexpr Raw raw() const { return raw_; }
    constexpr Wide value() const {
        if constexpr (!S) {
            return raw_;
        } else if constexpr (N <= 64) {
            return static_cast<Wide>(static_cast<int64_t>(uint64_t{raw_} << (64 - N)) >> (64 - N));
        } else {
            return static_cast<Wide>(static_cast<__int128>(Wide{raw_} << (128 - N)) >> (128 - N));
        }
    }

    using Native = std::conditional_t<S, int64_t, uint64_t>;
    constexpr operator Native() const { return static_cast<Native>(value()); }
    constexpr uint64_t to_uint64() const { return static_cast<uint64_t>(value()); }
    constexpr unsigned to_uint() const { return static_cast<unsigned>(value()); }
    constexpr int to_int() const { return static_cast<int>(value()); }

    moiety_shim::Bit<N, S> operator[](int at) { return {*this, at}; }
    bool operator[](int at) const { return ((raw_ >> at) & 1) != 0; }
    moiety_shim::Range<N, S> range(int high, int low) { return {*this, high, low}; }
    ap_number<N, false> range(int high, int low) const {
        return moiety_shim::Range<N, S>(const_cast<ap_number&>(*this), high, low);
    }
    moiety_shim::Range<N, S> operator()(int high, int low) { return {*this, high, low}; }
    ap_number<N, false> operator()(int high, int low) const { return range(high, low); }

    constexpr ap_number operator~() const { return wrapped(~value()); }
    constexpr ap_number operator<<(int by) const { return by >= N ? wrapped(0) : wrapped(value() << by); }
    constexpr ap_number operator>>(int by) const {
        if constexpr (S) return wrapped(static_cast<Wide>(static_cast<__int128>(value()) >> (by >= N ? N - 1 : by)));
        return by >= N ? wrapped(0) : wrapped(value() >> by);
    }

    template <class V>
    ap_number& operator+=(const V& v) {
        return *this = ap_number(*this + v);
    }
    template <class V>
    ap_number& operator-=(const V& v) {
        return *this = ap_number(*this - v);
    }
    template <class V>
    ap_number& operator*=(const V& v) {
        return *this = ap_number(*this * v);
    }
    template <class V>
    ap_number& operator^=(const V& v) {
        return *this = ap_number(*this ^ v);
    }
    template <class V>
    ap_number& operator&=(const V& v) {
        return *this = ap_number(*this & v);
    }
    template <class V>
    ap_number& operator|=(const V& v) {
        return *this = ap_number(*this | v);
    }
    ap_number& operator<<=(int by) { return *this = *this << by; }
    ap_number& operator>>=(int by) { return *this = *this >> by; }
    ap_number& operator++() { return *this += 1; }

  private:
    static constexpr Raw wrap(Wide v) {
        if constexpr (N == 128)
            return v;
        else if constexpr (N == 8 * sizeof(Raw))
            return static_cast<Raw>(v);
        else
            return static_cast<Raw>(v & ((Wide{1} << N) - 1));
    }
    Raw raw_;
};

template <int N>
class ap_uint : public ap_number<N, false> {
  public:
    using ap_number<N, false>::ap_number;
    ap_uint() = default;
    constexpr ap_uint(const ap_number<N, false>& other) : ap_number<N, false>(other) {}
};

template <int N>
class ap_int : public ap_number<N, true> {
  public:
    using ap_number<N, true>::ap_number;
    ap_int() = default;
    constexpr ap_int(const ap_number<N, true>& other) : ap_number<N, true>(other) {}
};

// Operators between numbers, and between a number and a C++ integer. SIGNED says whether the result is.
#define MOIETY_SHIM_ARITHMETIC(OP, BITS, SIGNED)                                                            \
    template <int N, bool S, int M, bool Q>                                                                 \
    constexpr ap_number<(BITS), (SIGNED)> operator OP(const ap_number<N, S>& a, const ap_number<M, Q>& b) { \
        return ap_number<(BITS), (SIGNED)>::wrapped(a.value() OP b.value());                                \
    }                                                                                                       \
    template <int N, bool S, class I, moiety_shim::IsInteger<I> = 0>                                        \
    constexpr auto operator OP(const ap_number<N, S>& a, I b) {                                             \
        return a OP moiety_shim::NumberOf<I>(b);                                                            \
    }                                                                                                       \
    template <int N, bool S, class I, moiety_shim::IsInteger<I> = 0>                                        \
    constexpr auto operator OP(I a, const ap_number<N, S>& b) {                                             \
        return moiety_shim::NumberOf<I>(a) OP b;                                                            \
    }
MOIETY_SHIM_ARITHMETIC(+, (moiety_shim::common<N, S, M, Q>)+1, S || Q)
MOIETY_SHIM_ARITHMETIC(-, (moiety_shim::common<N, S, M, Q>)+1, true)
MOIETY_SHIM_ARITHMETIC(*, N + M, S || Q)
MOIETY_SHIM_ARITHMETIC(&, (moiety_shim::common<N, S, M, Q>), S || Q)
MOIETY_SHIM_ARITHMETIC(|, (moiety_shim::common<N, S, M, Q>), S || Q)
MOIETY_SHIM_ARITHMETIC(^, (moiety_shim::common<N, S, M, Q>), S || Q)
#undef MOIETY_SHIM_ARITHMETIC

#define MOIETY_SHIM_COMPARISON(OP)                                                                 \
    template <int N, bool S, int M, bool Q>                                                        \
    constexpr bool operator OP(const ap_number<N, S>& a, const ap_number<M, Q>& b) {               \
        if constexpr (!S && !Q) {                                                                  \
            return a.value() OP b.value();                                                         \
        } else {                                                                                   \
            static_assert((S || N < 128) && (Q || M < 128), "up to 127 bits beside a signed one"); \
            return static_cast<__int128>(a.value()) OP static_cast<__int128>(b.value());           \
        }                                                                                          \
    }                                                                                              \
    template <int N, bool S, class I, moiety_shim::IsInteger<I> = 0>                               \
    constexpr bool operator OP(const ap_number<N, S>& a, I b) {                                    \
        return a OP moiety_shim::NumberOf<I>(b);                                                   \
    }                                                                                              \
    template <int N, bool S, class I, moiety_shim::IsInteger<I> = 0>                               \
    constexpr bool operator OP(I a, const ap_number<N, S>& b) {                                    \
        return moiety_shim::NumberOf<I>(a) OP b;                                                   \
    }
MOIETY_SHIM_COMPARISON(==)
MOIETY_SHIM_COMPARISON(!=)
MOIETY_SHIM_COMPARISON(<)
MOIETY_SHIM_COMPARISON(<=)
MOIETY_SHIM_COMPARISON(>)
MOIETY_SHIM_COMPARISON(>=)
#undef MOIETY_SHIM_COMPARISON
