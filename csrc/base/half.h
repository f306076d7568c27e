// The two floats of 16 bits, as storage: numbers are computed in float32 and rounded to them.
//
//   float16    1 sign, 5 exponent, 10 fraction bits: 6e-8 to 65504, 11 bits of precision
//   bfloat16   1 sign, 8 exponent, 7 fraction bits: the range of float32, 8 bits of precision
//
// Conversions round to nearest, ties to even; what is too large becomes infinite; NaN stays NaN.
#pragma once
#include <cstdint>
#include <type_traits>

#include "base/pod.h"

namespace densa {
namespace half_bits {

DENSA_ALWAYS_INLINE std::uint32_t of_float(float x) {
  std::uint32_t bits = 0;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
DENSA_ALWAYS_INLINE float to_float(std::uint32_t bits) {
  float x = 0;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// A double as a float that rounds to any 16-bit float as the double does: towards zero, the last
// bit set where something was cut off.
DENSA_ALWAYS_INLINE float to_odd(double x) {
  const auto near = static_cast<float>(x);
  const auto back = static_cast<double>(near);
  if (back == x || x != x) return near;
  std::uint32_t bits = of_float(near);
  if (__builtin_fabs(back) > __builtin_fabs(x)) bits -= 1;
  return to_float(bits | 1u);
}

DENSA_ALWAYS_INLINE std::uint16_t to_bfloat16(float x) {
  const std::uint32_t bits = of_float(x);
  if (x != x) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
DENSA_ALWAYS_INLINE float from_bfloat16(std::uint16_t bits) {
  return to_float(static_cast<std::uint32_t>(bits) << 16);
}

DENSA_ALWAYS_INLINE std::uint16_t to_float16(float x) {
  const std::uint32_t bits = of_float(x), sign = bits >> 16 & 0x8000u;
  const float size = to_float(bits & 0x7fffffffu);
  std::uint32_t half = 0;
  if (!(size < 65520.0f)) {
    half = x != x ? 0x7e00u | (bits >> 13 & 0x3ffu) : 0x7c00u;
  } else if (size < 0x1p-14f) {                     // multiples of 2^-24
    half = of_float(size + 0.5f) - of_float(0.5f);  // the last bit of 1/2 + size is worth 2^-24
  } else {
    const std::uint32_t rounded = of_float(size) + 0xfffu + (bits >> 13 & 1u);
    half = (rounded >> 13) - (112u << 10);  // exponents count from 15, not from 127
  }
  return static_cast<std::uint16_t>(sign | half);
}
DENSA_ALWAYS_INLINE float from_float16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
  float size = 0;
  if (rest >= 0x7c00u) {
    size = to_float(0x7f800000u | (rest & 0x3ffu) << 13);
  } else if (rest < 0x400u) {
    size = static_cast<float>(rest) * 0x1p-24f;
  } else {
    size = to_float((rest + (112u << 10)) << 13);
  }
  return to_float(of_float(size) | sign);
}

}  // namespace half_bits

// A number that becomes a float wherever one is expected, and is made of one.
#define DENSA_HALF(name)                                                                \
  struct name {                                                                         \
    std::uint16_t bits = 0;                                                             \
    name() = default;                                                                   \
    DENSA_ALWAYS_INLINE explicit name(float x) : bits(half_bits::to_##name(x)) {}       \
    DENSA_ALWAYS_INLINE explicit name(double x) : name(half_bits::to_odd(x)) {}         \
    template <class T, class = std::enable_if_t<std::is_integral_v<T>>>                 \
    DENSA_ALWAYS_INLINE explicit name(T x) : name(static_cast<double>(x)) {}            \
    DENSA_ALWAYS_INLINE operator float() const { return half_bits::from_##name(bits); } \
  };
DENSA_HALF(float16)
DENSA_HALF(bfloat16)
#undef DENSA_HALF

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

}  // namespace densa
