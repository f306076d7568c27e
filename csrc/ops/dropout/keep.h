// What dropout does to one element, once for all devices.
#pragma once
#include <cstdint>

#include "base/pod.h"

namespace densa {

template <class T>
struct Keep {
  std::uint32_t threshold;
  T scale;

  // `word` is the element's random word.
  DENSA_ALWAYS_INLINE T of(std::uint32_t word, T x) const {
    return word >= threshold ? x * scale : T(0);
  }
};

template <class T>
DENSA_ALWAYS_INLINE Keep<T> keep_of(double rate) {
  const double scaled = rate * 0x1p32 + 0.5;  // rounded to the nearest whole number
  return {scaled >= 0x1p32 ? 0xFFFFFFFFu : static_cast<std::uint32_t>(scaled),
          static_cast<T>(1.0 / (1.0 - rate))};
}

}  // namespace densa
