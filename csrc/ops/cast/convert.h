// One number of any dtype as any other, once for all devices. Floats go to integers towards zero;
// NaN and what does not fit become 0, integers wrap. To bool: not equal to 0.
#pragma once
#include <cstdint>
#include <type_traits>

#include "base/half.h"
#include "base/pod.h"

namespace densa::casting {

template <class To, class From>
DENSA_ALWAYS_INLINE To convert(From x) {
  if constexpr (kIsHalf<From> && !std::is_same_v<To, From>) {
    return convert<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From{};
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    constexpr bool kUnsignedWide = std::is_same_v<To, std::uint64_t>;
    constexpr double kLimit = kUnsignedWide ? 0x1p64 : 0x1p63;
    const auto wide = static_cast<double>(x);
    if (!(wide < kLimit && wide >= -0x1p63)) return 0;
    if (kUnsignedWide && wide >= 0) return static_cast<To>(static_cast<std::uint64_t>(wide));
    return static_cast<To>(static_cast<std::int64_t>(wide));
  } else {
    return static_cast<To>(x);
  }
}

// Whether x is whole and an integer type holds it. True where To or From is no type of numbers.
template <class To, class From>
DENSA_ALWAYS_INLINE bool fits(From x) {
  constexpr bool kNumbers = !std::is_same_v<To, bool> && !std::is_same_v<From, bool>;
  if constexpr (!kNumbers || !std::is_integral_v<To>) {
    return true;
  } else if constexpr (kIsHalf<From>) {
    return fits<To>(static_cast<float>(x));
  } else if constexpr (std::is_integral_v<From>) {
    const To same = static_cast<To>(x);
    if (static_cast<From>(same) != x) return false;
    if constexpr (std::is_signed_v<To> && std::is_unsigned_v<From>) return same >= 0;
    if constexpr (std::is_unsigned_v<To> && std::is_signed_v<From>) return x >= 0;
    return true;
  } else {
    constexpr double kHalf = static_cast<double>(std::uint64_t{1} << (8 * sizeof(To) - 1));
    constexpr double kLimit = std::is_signed_v<To> ? kHalf : 2 * kHalf;
    const auto wide = static_cast<double>(x);
    return wide < kLimit && wide >= (std::is_signed_v<To> ? -kLimit : 0.0) &&
           __builtin_trunc(wide) == wide;
  }
}

}  // namespace densa::casting
