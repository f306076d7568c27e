// Reductions in exact arithmetic, for loops on the CPU and threads of a GPU: integers and bool, and
// which of two numbers argmax and argmin take.
#pragma once
#include <cstdint>

#include "base/pod.h"

namespace densa::reduce {

enum class Plain : std::uint8_t { kSum, kProd, kMax, kMin, kAny, kAll };

template <class T>
inline constexpr T kLeast = T(-1) < T(0) ? static_cast<T>(std::uint64_t{1} << (8 * sizeof(T) - 1))
                                         : T(0);
template <class T>
inline constexpr T kMost = static_cast<T>(T(-1) < T(0) ? ~static_cast<std::int64_t>(kLeast<T>)
                                                       : static_cast<std::int64_t>(T(-1)));

template <Plain kKind, class T>
struct PlainFold {
  DENSA_HD static constexpr T neutral() {
    if constexpr (kKind == Plain::kSum || kKind == Plain::kAny) {
      return T(0);
    } else if constexpr (kKind == Plain::kProd || kKind == Plain::kAll) {
      return T(1);
    } else if constexpr (kKind == Plain::kMax) {
      return kLeast<T>;
    } else {
      return kMost<T>;
    }
  }
  DENSA_HD static constexpr T of(T a, T b) {  // sums and products wrap around
    if constexpr (kKind == Plain::kSum) {
      return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    } else if constexpr (kKind == Plain::kProd) {
      return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
    } else if constexpr (kKind == Plain::kMax) {
      return a < b ? b : a;
    } else if constexpr (kKind == Plain::kMin) {
      return b < a ? b : a;
    } else if constexpr (kKind == Plain::kAny) {
      return a || b;
    } else {
      return a && b;
    }
  }
};

// Whether v takes the place of `top`, which came before it: it is larger (smaller), or the first
// NaN.
template <bool kMax, class T>
DENSA_HD constexpr bool beats(T v, T top) {
  return (kMax ? v > top : v < top) || (v != v && top == top);
}

}  // namespace densa::reduce
