// What a Philox block becomes, once for all devices.
//
// With key = philox_key(seed, stream) and block b = philox(key, step, b): a float32 uniform takes
// word i % 4 of block i / 4, a float64 one takes two words of block i / 2, normals come in pairs
// from block i / 2 whatever their type.
#pragma once
#include <cstdint>

#include "base/philox.h"
#include "base/pod.h"

namespace densa {

// [low, high)
template <class T>
struct Uniform {
  static constexpr int kCount = 16 / sizeof(T);  // elements of a block
  double low, high;
  T top;  // the largest number below `high`

  Uniform(double from, double to) : low(from), high(to), top(below(from, to)) {}

  DENSA_ALWAYS_INLINE void operator()(const PhiloxBlock& block, T (&made)[kCount]) const {
    if constexpr (sizeof(T) == 4) {
      for (int k = 0; k < kCount; ++k) made[k] = place(double{uniform_float(block.word[k])});
    } else {
      for (int k = 0; k < kCount; ++k)
        made[k] = place(uniform_double(block.word[2 * k], block.word[2 * k + 1]));
    }
  }

 private:
  DENSA_ALWAYS_INLINE T place(double u) const {  // rounding must not reach `high`
    const T x = static_cast<T>(low + (high - low) * u);
    return low < high && x >= static_cast<T>(high) ? top : x;
  }
  static T below(double low, double high) {
    if constexpr (sizeof(T) == 4) {
      return __builtin_nextafterf(static_cast<float>(high), static_cast<float>(low));
    } else {
      return __builtin_nextafter(high, low);
    }
  }
};

template <class T>
struct Normal {
  static constexpr int kCount = 2;
  double mean, stddev;

  DENSA_ALWAYS_INLINE void operator()(const PhiloxBlock& block, T (&made)[kCount]) const {
    double first = 0, second = 0;
    normal_pair(block, first, second);
    made[0] = static_cast<T>(mean + stddev * first);
    made[1] = static_cast<T>(mean + stddev * second);
  }
};

}  // namespace densa
