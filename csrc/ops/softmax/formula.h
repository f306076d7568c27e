// A softmax's elements, from the row's maximum and the sum of its exponentials.
#pragma once

#include "simd/math.h"

namespace densa::inline DENSA_ISA {

struct SoftmaxShare {
  template <class V>
  DENSA_ALWAYS_INLINE static V power(V x, V top) {
    return exp(x - top);
  }
  template <class V>
  DENSA_ALWAYS_INLINE static V value(V power, V sum) {
    return power / sum;
  }
  template <class V>
  DENSA_ALWAYS_INLINE static V logarithm(V x, V top, V log_sum) {
    return (x - top) - log_sum;
  }
};

}  // namespace densa::inline DENSA_ISA
