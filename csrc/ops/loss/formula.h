// Softmax cross-entropy, one class at a time: what loss.h states for a row.
#pragma once

#include "simd/math.h"

namespace densa::inline DENSA_ISA {

struct CrossEntropy {
  template <class V>
  DENSA_ALWAYS_INLINE static V power(V z, V top) {
    return exp(z - top);
  }
  // A target after label smoothing: keep = 1 - smoothing, even = smoothing / classes.
  template <class V>
  DENSA_ALWAYS_INLINE static V smoothed(V t, V keep, V even) {
    return t * keep + even;
  }
  // What a class adds to the loss beside t log sum; none where t is 0, even at z = -inf.
  template <class V>
  DENSA_ALWAYS_INLINE static V term(V t, V top, V z) {
    return select(t == V{}, V{}, t * (top - z));
  }
  // Of a row, from the sums of the targets and of their terms.
  template <class V>
  DENSA_ALWAYS_INLINE static V loss(V weight, V log_sum, V terms) {
    return weight * log_sum + terms;
  }
  // dz of a class is its power times this, less dy t.
  template <class V>
  DENSA_ALWAYS_INLINE static V factor(V dy, V weight, V sum) {
    return dy * weight / sum;
  }
};

}  // namespace densa::inline DENSA_ISA
