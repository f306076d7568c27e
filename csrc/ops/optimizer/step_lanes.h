// A rule with what surrounds it: scaling and cutting of the gradient, weight decay. For the kernels
// of both devices: V is a vector of lanes, or one number.
#pragma once
#include "ops/optimizer/formula.h"
#include "ops/optimizer/optimizer.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {

template <class V>
struct Lanes {
  V grad_scale, clip_high, clip_low, decay, lr, epsilon, momentum, rho, one_minus_rho, beta_1,
      one_minus_beta_1, beta_2, one_minus_beta_2, alpha, m_factor, g_factor, v_factor;
};

template <class V, class T>
DENSA_ALWAYS_INLINE Lanes<V> lanes_of(const StepNumbers<T>& c) {
  return {lane<V>(c.grad_scale),
          lane<V>(c.clip_value),
          lane<V>(-c.clip_value),
          lane<V>(c.decay),
          lane<V>(c.lr),
          lane<V>(c.epsilon),
          lane<V>(c.momentum),
          lane<V>(c.rho),
          lane<V>(c.one_minus_rho),
          lane<V>(c.beta_1),
          lane<V>(c.one_minus_beta_1),
          lane<V>(c.beta_2),
          lane<V>(c.one_minus_beta_2),
          lane<V>(c.alpha),
          lane<V>(c.m_factor),
          lane<V>(c.g_factor),
          lane<V>(c.v_factor)};
}

template <class F, class V>
DENSA_ALWAYS_INLINE void step_lanes(V& w, V g, V* s, const Lanes<V>& c, bool decay) {
  g = g * c.grad_scale;
  g = max_fast(c.clip_low, min_fast(c.clip_high, g));  // NaN stays
  if (decay) w -= w * c.decay;
  F::step(w, g, s, c);
}

}  // namespace densa::inline DENSA_ISA
