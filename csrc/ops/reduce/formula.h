// What a reduction of floating-point numbers does to an element, and how it joins two of them.
#pragma once

#include "simd/math.h"

namespace densa::inline DENSA_ISA {

struct Add {
  static constexpr double kNeutral = 0;
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return a + b;
  }
};
struct Multiply {
  static constexpr double kNeutral = 1;
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return a * b;
  }
};
struct Larger {
  static constexpr double kNeutral = -__builtin_huge_val();
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {  // NaN wins; halves of vectors too
    return select(a != a, a, select(a > b, a, b));
  }
};
struct Smaller {
  static constexpr double kNeutral = __builtin_huge_val();
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return select(a != a, a, select(a < b, a, b));
  }
};

struct Itself {
  static constexpr bool kShift = false;
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V x, V) {
    return x;
  }
};
struct SquareFrom {
  static constexpr bool kShift = true;
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V x, V shift) {
    return (x - shift) * (x - shift);
  }
};
struct ExpFrom {
  static constexpr bool kShift = true;
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V x, V shift) {
    return exp(x - shift);
  }
};

}  // namespace densa::inline DENSA_ISA
