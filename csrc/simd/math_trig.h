// sin and cos over a scalar or a vector of lanes. float32 is computed in float64 and is within
// 1 ulp; float64, and float32 beyond 10^6, is the C library's, lane by lane.
#pragma once

#include "simd/math_exp.h"

namespace densa::inline DENSA_ISA {

namespace detail {

// sin(x + quarter pi / 2) for |x| <= 10^6, good to 1e-11: x = n pi / 2 + r, |r| <= pi / 4.
template <class V>
DENSA_ALWAYS_INLINE V sine_near(V x, std::uint64_t quarter) {
  const V shift = lane<V>(ExpNumbers<double>::kShift);
  const V shifted = mul_add(x, lane<V>(0x1.45f306dc9c883p-1), shift), n = shifted - shift;
  V r = mul_add(n, lane<V>(-0x1.921fb544p+0), x);  // 33 bits, so that the product is exact
  r = mul_add(n, lane<V>(-0x1.0b4611a626331p-34), r);
  const V z = r * r;
  const V sine = mul_add(r * z,
                         horner(z, -0.16666666640773006, 0.0083333293018968881,
                                -0.0001983931130228674, 2.7181123139258184e-06),
                         r);
  const V half_square = mul_add(z, lane<V>(-0.5), lane<V>(1));
  const V cosine = mul_add(z * z,
                           horner(z, 0.041666666619445313, -0.0013888883496124091,
                                  2.4799459115620444e-05, -2.7205668590905975e-07),
                           half_square);
  const UIntOf<V> turn = (unsigned_bits(shifted) - unsigned_bits(shift)) + quarter;
  const V y = select((turn & 1) != 0, cosine, sine);
  return from_bits<V>(unsigned_bits(y) ^ ((turn & 2) << 62));
}

struct Sine {
  static constexpr std::uint64_t kQuarter = 0;
  DENSA_ALWAYS_INLINE static double of(double x) { return __builtin_sin(x); }
};
struct Cosine {
  static constexpr std::uint64_t kQuarter = 1;
  DENSA_ALWAYS_INLINE static double of(double x) { return __builtin_cos(x); }
};

inline constexpr float kFarAngle = 1e6f;

template <class F>
DENSA_ALWAYS_INLINE float sine32(float x) {
  if (!(abs(x) <= kFarAngle)) return static_cast<float>(F::of(static_cast<double>(x)));
  return static_cast<float>(sine_near(static_cast<double>(x), F::kQuarter));
}

#if DENSA_VECTORS
template <class F>
DENSA_ALWAYS_INLINE Vec<float> sine32(Vec<float> x) {
  typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
  constexpr std::size_t kHalf = kLanes<double>;
  float lanes[2 * kHalf];
  store(lanes, x);
  for (std::size_t i = 0; i < 2 * kHalf; i += kHalf) {
    const Vec<double> y = sine_near(load_as<Vec<double>>(lanes + i), F::kQuarter);
    const Half narrow = __builtin_convertvector(y, Half);
    __builtin_memcpy(lanes + i, &narrow, sizeof narrow);
  }
  const Vec<float> zero{};
  const auto near = abs(x) <= lane<Vec<float>>(kFarAngle);
  if (max(select(near, zero, lane<Vec<float>>(1))) > 0) {
    for (std::size_t i = 0; i < 2 * kHalf; ++i) {
      if (!near[i]) lanes[i] = static_cast<float>(F::of(static_cast<double>(x[i])));
    }
  }
  return load(lanes);
}
#endif

}  // namespace detail

template <class V>
DENSA_ALWAYS_INLINE V sin(V x) {
  if constexpr (detail::kIsFloat<V>) {
    return select(x == V{}, x, detail::sine32<detail::Sine>(x));  // keeps -0
  } else {
    return detail::per_lane<detail::Sine>(x);
  }
}

template <class V>
DENSA_ALWAYS_INLINE V cos(V x) {
  if constexpr (detail::kIsFloat<V>) {
    return detail::sine32<detail::Cosine>(x);
  } else {
    return detail::per_lane<detail::Cosine>(x);
  }
}

}  // namespace densa::inline DENSA_ISA
