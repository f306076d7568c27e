// exp, expm1, sigmoid, tanh and erf over a scalar or a vector of lanes.
//
// All rest on x = n ln(2) + r with |r| <= ln(2) / 2 and expm1(r) = r + r^2 p(r). Coefficients come
// from tools/fit_polynomials.py. Bounds, for any input and on every CPU level: 2 ulp in float32,
// 4 ulp in float64; tests/native/simd_math.cpp holds the measured ones.
#pragma once

#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {

namespace detail {

template <class V>
inline constexpr bool kIsFloat = sizeof(Element<V>) == 4;

// c0 + x (c1 + x (c2 + ...)).
template <class V>
DENSA_ALWAYS_INLINE V horner(V, Element<V> c0) {
  return lane<V>(c0);
}
template <class V, class... Rest>
DENSA_ALWAYS_INLINE V horner(V x, Element<V> c0, Rest... rest) {
  return mul_add(horner<V>(x, static_cast<Element<V>>(rest)...), x, lane<V>(c0));
}

// How the bits of a number lie, and the numbers that exp needs.
template <class T>
struct ExpNumbers;

template <>
struct ExpNumbers<float> {
  using UInt = std::uint32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr UInt kOneBits = 0x3f800000;
  static constexpr float kShift = 0x1.8p23f;  // x + kShift has round(x) in its low bits
  static constexpr float kLog2E = 0x1.715476p+0f;
  static constexpr float kLn2High = 0x1.62e4p-1f;  // few bits, so that n kLn2High is exact
  static constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  static constexpr float kExpLow = -104;  // exp is 0 below, infinite above
  static constexpr float kExpHigh = 89;
  static constexpr float kExpm1Low = -18;    // expm1 is -1 below
  static constexpr float kSigmoidLow = -30;  // 1 + exp is 1 below
  static constexpr float kTanhHigh = 9.1f;   // tanh is 1 above
};

template <>
struct ExpNumbers<double> {
  using UInt = std::uint64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr UInt kOneBits = 0x3ff0000000000000;
  static constexpr double kShift = 0x1.8p52;
  static constexpr double kLog2E = 0x1.71547652b82fep+0;
  static constexpr double kLn2High = 0x1.62e42fee00000p-1;
  static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kExpLow = -746;
  static constexpr double kExpHigh = 710;
  static constexpr double kExpm1Low = -38;
  static constexpr double kSigmoidLow = -60;
  static constexpr double kTanhHigh = 19.2;
};

template <class V>
using Numbers = ExpNumbers<Element<V>>;

template <class V>
struct Reduced {
  V n, r;         // x = n ln(2) + r
  UIntOf<V> low;  // n as an integer, in the low bits; the bits of kShift above
};

// Wants |x| below 2000 or NaN.
template <class V>
DENSA_ALWAYS_INLINE Reduced<V> reduce(V x) {
  const V shift = lane<V>(Numbers<V>::kShift);
  const V shifted = mul_add(x, lane<V>(Numbers<V>::kLog2E), shift);
  const V n = shifted - shift;
  const V r =
      mul_add(n, lane<V>(-Numbers<V>::kLn2Low), mul_add(n, lane<V>(-Numbers<V>::kLn2High), x));
  return {n, r, unsigned_bits(shifted)};
}

// (expm1(r) - r) / r^2
template <class V>
DENSA_ALWAYS_INLINE V expm1_rest(V r) {
  if constexpr (kIsFloat<V>) {
    return horner(r, 0.5f, 0.166666657f, 0.0416663624f, 0.00833338965f, 0.00139406184f,
                  0.000198458802f);
  } else {
    return horner(r, 0.5, 0.16666666666666677, 0.041666666666666512, 0.0083333333333216984,
                  0.0013888888888962338, 0.00019841269885944779, 2.4801587172593657e-05,
                  2.7557244397813552e-06, 2.7557402610073458e-07, 2.5108969889510154e-08,
                  2.0875334710982515e-09);
  }
}

template <class V>
DENSA_ALWAYS_INLINE V expm1_reduced(V r) {
  return mul_add(r * r, expm1_rest(r), r);
}

template <class V>
DENSA_ALWAYS_INLINE V exp_reduced(V r) {
  return mul_add(mul_add(expm1_rest(r), r, lane<V>(1)), r, lane<V>(1));
}

// 2^n for an n that gives a normal number; only the low bits of n count.
template <class V>
DENSA_ALWAYS_INLINE V power_of_two(UIntOf<V> n, int plus = 0) {
  using UInt = typename Numbers<V>::UInt;
  constexpr int kBits = Numbers<V>::kMantissaBits;
  const UInt one = Numbers<V>::kOneBits + (static_cast<UInt>(plus) << kBits);
  return from_bits<V>((n << kBits) + one);
}

// x 2^n, rounded once, also where the result is denormal or overflows; x is between 0.5 and 2.
template <class V>
DENSA_ALWAYS_INLINE V scale(V x, const Reduced<V>& e) {
#if DENSA_LEVEL >= DENSA_LEVEL_v4
  return (V)native::scale(x, e.n);
#else
  // Two factors, each normal; only the second product can round. The bias keeps n positive.
  using UInt = typename Numbers<V>::UInt;
  constexpr int kBits = Numbers<V>::kMantissaBits;
  constexpr UInt kBias = 2048, kOne = Numbers<V>::kOneBits - ((kBias / 2) << kBits);
  const UIntOf<V> n = e.low - (unsigned_bits(lane<V>(Numbers<V>::kShift)) - kBias);
  const UIntOf<V> half = (n >> 1) << kBits, rest = (n << kBits) - half;
  return x * from_bits<V>(half + kOne) * from_bits<V>(rest + kOne);
#endif
}

}  // namespace detail

template <class V>
DENSA_ALWAYS_INLINE V exp(V x) {
  // The constant comes first: so NaN in x stays.
  x = min_fast(lane<V>(detail::Numbers<V>::kExpHigh), x);
  x = max_fast(lane<V>(detail::Numbers<V>::kExpLow), x);
  const detail::Reduced<V> e = detail::reduce(x);
  return detail::scale(detail::exp_reduced(e.r), e);
}

// exp(x) - 1 without cancellation: 2^n expm1(r) + (2^n - 1).
template <class V>
DENSA_ALWAYS_INLINE V expm1(V x) {
  using Number = Element<V>;
  V clamped = min_fast(lane<V>(detail::Numbers<V>::kExpHigh), x);
  clamped = max_fast(lane<V>(detail::Numbers<V>::kExpm1Low), clamped);
  const detail::Reduced<V> e = detail::reduce(clamped);
  const V half = detail::power_of_two<V>(e.low, -1);  // half of 2^n, which may overflow
  const V y = mul_add(half, detail::expm1_reduced(e.r), half - lane<V>(Number(0.5)));
  return select(abs(x) < lane<V>(Number(0x1p-60)), x, y + y);  // keeps -0 and denormals
}

// 1 / (1 + exp(-x)), the sum rounded once: 2^n (1 + q) + 1 = 2^n q + (2^n + 1). What 2^n + 1 loses
// for n > 23 goes to the product. Both sides of the fraction are scaled by a constant, so that a
// huge denominator stays finite and the quotient is rounded once where it is denormal.
template <class V>
DENSA_ALWAYS_INLINE V sigmoid(V x) {
  using Numbers = detail::Numbers<V>;
  constexpr int kDown = detail::kIsFloat<V> ? 32 : 64;
  V z = min_fast(lane<V>(-Numbers::kExpLow), -x);
  z = max_fast(lane<V>(Numbers::kSigmoidLow), z);
  const detail::Reduced<V> e = detail::reduce(z);
  const V one = detail::power_of_two<V>(UIntOf<V>{}, -kDown);
  const V s = detail::power_of_two<V>(e.low, -kDown);
  const V sum = s + one, lost = one - (sum - s);
  return one / (mul_add(s, detail::expm1_reduced(e.r), lost) + sum);
}

// -expm1(-2|x|) / (expm1(-2|x|) + 2), with the sign of x.
template <class V>
DENSA_ALWAYS_INLINE V tanh(V x) {
  const V a = min_fast(lane<V>(detail::Numbers<V>::kTanhHigh), abs(x));
  const detail::Reduced<V> e = detail::reduce(a * lane<V>(-2));
  const V q = detail::expm1_reduced(e.r), s = detail::power_of_two<V>(e.low);
  return copy_sign(mul_add(s, q, s - lane<V>(1)) / mul_add(s, q, s + lane<V>(1)), x);
}

namespace detail {

// x + x p(x^2) below 0.92, else 1 - exp(p(|x|)).
template <class V>
DENSA_ALWAYS_INLINE V erf32(V x) {
  const V a = abs(x), z = a * a;
  const V small = mul_add(x,
                          horner(z, 0.128379151f, -0.376124978f, 0.112818457f, -0.0267677195f,
                                 0.00499483105f, -0.00059994089f),
                          x);
  const V b = min_fast(lane<V>(3.95f), a);
  const V p = horner(b, 0.00017441505f, -1.12951362f, -0.633349538f, -0.108277202f, 0.0251175556f,
                     -0.00417035166f, 0.000434315647f, -2.10823273e-05f);
  const Reduced<V> e = reduce(p);
  const V large = lane<V>(1) - exp_reduced(e.r) * power_of_two<V>(e.low);
  return select(a < lane<V>(0.92f), small, from_bits<V>(bits(large) | bits(sign_bit(x))));
}

// Calls F::of, a function of the C library, for each lane.
template <class F, class V, class... Vs>
DENSA_ALWAYS_INLINE V per_lane(V x, Vs... others) {
  if constexpr (kWidth<V> == 1) {
    return F::of(x, others...);
  } else {
    V y = x;
    for (std::size_t i = 0; i < kWidth<V>; ++i) y[i] = F::of(x[i], others[i]...);
    return y;
  }
}

struct LibraryErf {
  DENSA_ALWAYS_INLINE static double of(double x) { return __builtin_erf(x); }
};

}  // namespace detail

// float64: the C library's, lane by lane.
template <class V>
DENSA_ALWAYS_INLINE V erf(V x) {
  if constexpr (detail::kIsFloat<V>) {
    return detail::erf32(x);
  } else {
    return detail::per_lane<detail::LibraryErf>(x);
  }
}

}  // namespace densa::inline DENSA_ISA
