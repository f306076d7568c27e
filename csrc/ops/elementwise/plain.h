// Comparisons, logic, tests and the rare binary ops, once for all devices. float32 and float64 take
// fmod, which is exact everywhere, and atan2, which is within a few ulp.
#pragma once
#include <cstdint>
#include <type_traits>

#include "base/pod.h"

namespace densa::elementwise {

// Python's and NumPy's rule: the remainder has the sign of the divisor.
template <class T>
DENSA_ALWAYS_INLINE T modulo(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (b == 0) return __builtin_nanf("");
    T r;
    if constexpr (sizeof(T) == 4) {
      r = __builtin_fmodf(a, b);
      if (r == 0) return __builtin_copysignf(0, b);
    } else {
      r = __builtin_fmod(a, b);
      if (r == 0) return __builtin_copysign(0, b);
    }
    return (b < 0) != (r < 0) ? r + b : r;
  } else if constexpr (std::is_same_v<T, bool>) {
    return false;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return 0;  // the smallest number divided by -1 would trap
      const T r = static_cast<T>(a % b);
      return static_cast<T>(r != 0 && ((r < 0) != (b < 0)) ? r + b : r);
    } else {
      return static_cast<T>(a % b);
    }
  }
}

template <class T>
DENSA_ALWAYS_INLINE T floor_quotient(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (b == 0) return a / b;
    const T q = (a - modulo(a, b)) / b;
    T whole;
    if constexpr (sizeof(T) == 4) {
      whole = __builtin_floorf(q);
    } else {
      whole = __builtin_floor(q);
    }
    return q - whole > T{0.5} ? whole + 1 : whole;
  } else if constexpr (std::is_same_v<T, bool>) {
    return a && b;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return static_cast<T>(std::uint64_t{0} - static_cast<std::uint64_t>(a));
      const T q = static_cast<T>(a / b);
      return static_cast<T>(a % b != 0 && ((a < 0) != (b < 0)) ? q - 1 : q);
    } else {
      return static_cast<T>(a / b);
    }
  }
}

template <class T>
DENSA_ALWAYS_INLINE bool finite(T a) {
  return a - a == T{0};
}

#define DENSA_PLAIN(Name, expression)              \
  struct Name {                                    \
    template <class T>                             \
    DENSA_ALWAYS_INLINE static auto of(T a, T b) { \
      return expression;                           \
    }                                              \
  };
DENSA_PLAIN(Equal, a == b)
DENSA_PLAIN(NotEqual, a != b)
DENSA_PLAIN(Less, a < b)
DENSA_PLAIN(LessEqual, a <= b)
DENSA_PLAIN(Greater, a > b)
DENSA_PLAIN(GreaterEqual, a >= b)
DENSA_PLAIN(And, static_cast<bool>(a) && static_cast<bool>(b))
DENSA_PLAIN(Or, static_cast<bool>(a) || static_cast<bool>(b))
DENSA_PLAIN(Xor, static_cast<bool>(a) != static_cast<bool>(b))
DENSA_PLAIN(FloorDivide, floor_quotient(a, b))
DENSA_PLAIN(Mod, modulo(a, b))
#undef DENSA_PLAIN
struct ArcTan2 {  // floating types only
  template <class T>
  DENSA_ALWAYS_INLINE static T of(T a, T b) {
    if constexpr (sizeof(T) == 4 && std::is_floating_point_v<T>) {
      return __builtin_atan2f(a, b);
    } else if constexpr (std::is_floating_point_v<T>) {
      return __builtin_atan2(a, b);
    } else {
      return a;
    }
  }
};

#define DENSA_TEST(Name, of_floating, of_others)                     \
  struct Name {                                                      \
    template <class T>                                               \
    DENSA_ALWAYS_INLINE static bool of(T a) {                        \
      if constexpr (std::is_floating_point_v<T>) return of_floating; \
      return of_others;                                              \
    }                                                                \
  };
DENSA_TEST(IsNan, a != a, false)
DENSA_TEST(IsInf, a == a && !finite(a), false)
DENSA_TEST(IsFinite, finite(a), true)
DENSA_TEST(Not, a == T{0}, !static_cast<bool>(a))
#undef DENSA_TEST

// X(op, functor, kind, gradient) and X(op, functor): every op of this file.
#define DENSA_PLAIN_QUESTIONS(X)                  \
  X(equal, Equal, kCompare, kFlat)                \
  X(not_equal, NotEqual, kCompare, kFlat)         \
  X(less, Less, kCompare, kFlat)                  \
  X(less_equal, LessEqual, kCompare, kFlat)       \
  X(greater, Greater, kCompare, kFlat)            \
  X(greater_equal, GreaterEqual, kCompare, kFlat) \
  X(logical_and, And, kLogic, kFlat)              \
  X(logical_or, Or, kLogic, kFlat)                \
  X(logical_xor, Xor, kLogic, kFlat)
#define DENSA_PLAIN_BINARY(X)                      \
  DENSA_PLAIN_QUESTIONS(X)                         \
  X(floor_divide, FloorDivide, kArithmetic, kFlat) \
  X(mod, Mod, kArithmetic, grad_mod)               \
  X(arctan2, ArcTan2, kFloat, grad_arctan2)
#define DENSA_PLAIN_UNARY(X) \
  X(isnan, IsNan) X(isinf, IsInf) X(isfinite, IsFinite) X(logical_not, Not)

}  // namespace densa::elementwise
