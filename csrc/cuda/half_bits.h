// bfloat16 and IEEE half as the 16 bits that they are, to float32 and back.
//
// To 16 bits: to nearest, halves to even; beyond the range infinity; NaN stays NaN.
#pragma once
#include <cstdint>

#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {

DENSA_HD inline float from_bfloat16(std::uint16_t half) {
  return from_bits<float>(std::uint32_t{half} << 16);
}
DENSA_HD inline std::uint16_t to_bfloat16(float x) {
  const std::uint32_t all = unsigned_bits(x);
  if (x != x) return static_cast<std::uint16_t>(all >> 16 | 0x40u);
  return static_cast<std::uint16_t>((all + 0x7fffu + (all >> 16 & 1u)) >> 16);
}

DENSA_HD inline float from_float16(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16, rest = half & 0x7fffu;
  if (rest >= 0x7c00u) return from_bits<float>(sign | 0x7f800000u | rest << 13);
  // As a float32 its exponent is 112 too small; small halves are small float32 as well.
  return from_bits<float>(sign | unsigned_bits(from_bits<float>(rest << 13) * 0x1p112f));
}
DENSA_HD inline std::uint16_t to_float16(float x) {
  const std::uint32_t all = unsigned_bits(x), sign = all >> 16 & 0x8000u;
  std::uint32_t rest = all & 0x7fffffffu;
  if (rest > 0x7f800000u) {
    rest = 0x7e00u;
  } else if (rest >= 0x477ff000u) {  // 65520, half way to what would be next
    rest = 0x7c00u;
  } else if (rest < 0x38800000u) {
    // Below 2^-14 halves are 2^-24 apart, as float32 from 0.5 to 1 are.
    rest = unsigned_bits(from_bits<float>(rest) + 0.5f) - unsigned_bits(0.5f);
  } else {
    rest = (rest + 0xfffu + (rest >> 13 & 1u) - 0x38000000u) >> 13;
  }
  return static_cast<std::uint16_t>(sign | rest);
}

}  // namespace densa::inline DENSA_ISA
