// What the unary and binary formulas of list.inc give for whole numbers and bools, once for all
// devices. Results wrap around as NumPy's integers do.
#pragma once
#include <cstdint>
#include <type_traits>

#include "base/pod.h"

namespace densa::elementwise {

enum UnaryIndex : int {
#define DENSA_UNARY(name, Formula, doc) k_##name,
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) k_##name,
#include "ops/elementwise/list.inc"
};
enum BinaryIndex : int {
#define DENSA_BINARY(name, Formula, doc) k_##name,
#include "ops/elementwise/list.inc"
};

template <class T>
DENSA_ALWAYS_INLINE T integer_value(UnaryIndex index, T z) {
  const T zero = 0;
  bool below = false;
  if constexpr (std::is_signed_v<T>) below = z < zero;
  switch (index) {
    case k_negative: return static_cast<T>(zero - static_cast<std::make_unsigned_t<T>>(z));
    case k_abs: return below ? static_cast<T>(zero - static_cast<std::make_unsigned_t<T>>(z)) : z;
    case k_square:
      return static_cast<T>(static_cast<std::uint64_t>(z) * static_cast<std::uint64_t>(z));
    case k_relu: return below ? zero : z;
    case k_relu6: return below ? zero : z > T{6} ? T{6} : z;
    case k_sign: return below ? static_cast<T>(-1) : static_cast<T>(z > zero);
    default: return z;  // floor, ceil, round
  }
}

template <class T>
DENSA_ALWAYS_INLINE T integer_power(T base, T exponent) {
  if constexpr (std::is_signed_v<T>) {
    if (exponent < T{0}) return base == T{1} ? T{1} : T{0};  // truncated towards zero
  }
  std::uint64_t result = 1, factor = static_cast<std::uint64_t>(base);
  for (auto e = static_cast<std::uint64_t>(exponent); e != 0; e >>= 1) {
    if (e & 1) result *= factor;
    factor *= factor;
  }
  return static_cast<T>(result);
}

template <class T>
DENSA_ALWAYS_INLINE T integer_value(BinaryIndex index, T a, T b) {
  const auto wide_a = static_cast<std::uint64_t>(a), wide_b = static_cast<std::uint64_t>(b);
  switch (index) {
    case k_add: return static_cast<T>(wide_a + wide_b);
    case k_subtract: return static_cast<T>(wide_a - wide_b);
    case k_multiply: return static_cast<T>(wide_a * wide_b);
    case k_maximum: return a > b ? a : b;
    case k_minimum: return a < b ? a : b;
    default: return integer_power(a, b);
  }
}

// bool: add and maximum are "or", multiply and minimum are "and", as in NumPy and Keras.
template <class T>
DENSA_ALWAYS_INLINE T plain_value(BinaryIndex index, T a, T b) {
  if constexpr (std::is_same_v<T, bool>) {
    return index == k_add || index == k_maximum ? a || b : a && b;
  } else {
    return integer_value(index, a, b);
  }
}

}  // namespace densa::elementwise
