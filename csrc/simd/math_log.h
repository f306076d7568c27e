// log, log1p, softplus and pow over a scalar or a vector of lanes; bounds as in math_exp.h.
//
// log rests on x = 2^k m with m between sqrt(1/2) and sqrt(2), and on a polynomial for log(m).
#pragma once

#include "simd/math_exp.h"

namespace densa::inline DENSA_ISA {

namespace detail {

template <class T>
struct LogNumbers;

template <>
struct LogNumbers<float> {
  static constexpr std::uint32_t kSqrtHalfBits = 0x3f3504f3;
  static constexpr float kSmallestNormal = 0x1p-126f;
  static constexpr float kUp = 0x1p24f;  // makes a denormal number normal
  static constexpr int kUpBits = 24;
};

template <>
struct LogNumbers<double> {
  static constexpr std::uint64_t kSqrtHalfBits = 0x3fe6a09e667f3bcd;
  static constexpr double kSmallestNormal = 0x1p-1022;
  static constexpr double kUp = 0x1p54;
  static constexpr int kUpBits = 54;
};

template <class V>
using LogOf = LogNumbers<Element<V>>;

template <class V>
struct Split {
  V m, k;           // x = 2^k m, m between sqrt(1/2) and sqrt(2)
  UIntOf<V> whole;  // k as an integer that wraps around
};

// Wants a positive normal x; of any other it makes something without a meaning.
template <class V>
DENSA_ALWAYS_INLINE Split<V> split(V x) {
  using UInt = typename Numbers<V>::UInt;
  constexpr int kBits = Numbers<V>::kMantissaBits;
  const UIntOf<V> b = unsigned_bits(x);
  const UIntOf<V> above = b + (Numbers<V>::kOneBits - LogOf<V>::kSqrtHalfBits);
  const UIntOf<V> k = (above >> kBits) - UInt{Numbers<V>::kOneBits >> kBits};
  // The shift of exp, the other way round: v2 and v3 cannot convert 64-bit integers.
  const V shift = lane<V>(Numbers<V>::kShift);
  const V number = from_bits<V>(k + unsigned_bits(shift)) - shift;
  return {from_bits<V>(b - (k << kBits)), number, k};
}

// log(1 + f) - f for 1 + f between sqrt(1/2) and sqrt(2).
template <class V>
DENSA_ALWAYS_INLINE V log1p_rest(V f) {
  if constexpr (kIsFloat<V>) {
    return f * f *
           horner(f, -0.5f, 0.333333313f, -0.250008225f, 0.200012267f, -0.16623354f, 0.142017618f,
                  -0.131602168f, 0.12761572f, -0.076343976f);
  } else {
    const V s = f / (f + lane<V>(2)), z = s * s, square = f * f * lane<V>(0.5);
    const V rest = z * horner(z, 0.6666666666666734, 0.39999999999414593, 0.28571428742409122,
                              0.22222198570774399, 0.18183564461134286, 0.15314046863243777,
                              0.14795988842984428);
    return s * (square + rest) - square;
  }
}

// k ln(2) + log(1 + f)
template <class V>
DENSA_ALWAYS_INLINE V log_of_parts(V k, V f) {
  const V low = mul_add(k, lane<V>(Numbers<V>::kLn2Low), log1p_rest(f));
  return mul_add(k, lane<V>(Numbers<V>::kLn2High), f + low);
}

// The logarithm of numbers that are not positive and finite, else y.
template <class V>
DENSA_ALWAYS_INLINE V log_special(V x, V y) {
  const V infinity = lane<V>(__builtin_huge_val());
  y = select(x < infinity, y, x);  // infinity and NaN are their own
  y = select(x < V{}, lane<V>(__builtin_nan("")), y);
  return select(x == V{}, -infinity, y);
}

struct LibraryPow {
  DENSA_ALWAYS_INLINE static float of(float x, float y) { return __builtin_powf(x, y); }
  DENSA_ALWAYS_INLINE static double of(double x, double y) { return __builtin_pow(x, y); }
};

}  // namespace detail

template <class V>
DENSA_ALWAYS_INLINE V log(V x) {
  using Log = detail::LogOf<V>;
  const auto denormal = x < lane<V>(Log::kSmallestNormal);
  const detail::Split<V> parts = detail::split(select(denormal, x * lane<V>(Log::kUp), x));
  const V k = parts.k - select(denormal, lane<V>(Log::kUpBits), V{});
  return detail::log_special(x, detail::log_of_parts(k, parts.m - lane<V>(1)));
}

// log(1 + x) without cancellation: u = 1 + x is rounded, d is what the rounding lost.
template <class V>
DENSA_ALWAYS_INLINE V log1p(V x) {
  const V one = lane<V>(1), u = one + x;
  const V d = select(x > one, one - (u - x), x - (u - one));
  const detail::Split<V> parts = detail::split(u);
  // 2^-k d matters only for small k; large ones would leave the exponent's range.
  const UIntOf<V> far = UIntOf<V>{} - typename detail::Numbers<V>::UInt{100};
  const UIntOf<V> near = select(parts.k < lane<V>(100), UIntOf<V>{} - parts.whole, far);
  const V f = mul_add(d, detail::power_of_two<V>(near), parts.m - one);
  const V y = detail::log_special(u, detail::log_of_parts(parts.k, f));
  return select(abs(x) < lane<V>(Element<V>(0x1p-60)), x, y);  // keeps -0 and denormals
}

// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)); neither overflows nor loses small results.
template <class V>
DENSA_ALWAYS_INLINE V softplus(V x) {
  const V low = max_fast(lane<V>(detail::Numbers<V>::kExpLow), -abs(x));
  const detail::Reduced<V> reduced = detail::reduce(low);
  const V e = detail::scale(detail::exp_reduced(reduced.r), reduced);
  // 1 + e is e + 1 = 1 + f, or 2 (1 + f), both without rounding.
  const V half = lane<V>(Element<V>(0.5)), zero{};
  const auto upper = e > lane<V>(Element<V>(0.41421356));
  const V f = select(upper, mul_add(e, half, -half), e);
  const V k = select(upper, lane<V>(1), zero);
  return max_fast(x, zero) + detail::log_of_parts(k, f);
}

// x to the power y, with the special cases of the C library, which is called lane by lane.
template <class V>
DENSA_ALWAYS_INLINE V pow(V x, V y) {
  return detail::per_lane<detail::LibraryPow>(x, y);
}

}  // namespace densa::inline DENSA_ISA
