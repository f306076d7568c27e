// Batch normalisation of one element, from what batch_norm.h states for a channel.
#pragma once

#include "simd/math.h"

namespace densa::inline DENSA_ISA {

struct BatchNormOf {
  template <class V>
  DENSA_ALWAYS_INLINE static V scale(V gamma, V variance, V epsilon) {
    return gamma / sqrt(variance + epsilon);
  }
  template <class V>
  DENSA_ALWAYS_INLINE static V value(V x, V mean, V scale, V beta) {
    return mul_add(x - mean, scale, beta);
  }
};

// The gradient, from s = 1 / sqrt(variance + epsilon) and the sums dbeta and dot = sum dy (x -
// mean).
template <class V>
struct BatchNormSlope {
  V dgamma, shift, tilt, slope;

  DENSA_ALWAYS_INLINE static V inverse(V variance, V epsilon) {
    return lane<V>(1) / sqrt(variance + epsilon);
  }
  DENSA_ALWAYS_INLINE static BatchNormSlope of(V gamma, V s, V dbeta, V dot, V n) {
    BatchNormSlope out;
    out.dgamma = dot * s;
    out.shift = dbeta / n;
    out.tilt = out.dgamma * s / n;  // times (x - mean) it is h dgamma / n
    out.slope = gamma * s;
    return out;
  }
  DENSA_ALWAYS_INLINE V dx(V x, V mean, V dy) const {
    return (dy - shift - (x - mean) * tilt) * slope;
  }
};

}  // namespace densa::inline DENSA_ISA
