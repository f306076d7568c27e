// The update rules, as Keras 3 writes them. One rule works on a float and on a vector of lanes.
//
// step(w, g, s, c): the weight w and the slots s[0 .. kSlots) change, g is the gradient after
// scaling and cutting. c holds StepNumbers as lanes. Operations stand in Keras' order; averages are
// one multiply-add, divisions and roots go through quotient and root.
#pragma once
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {

// a / b and sqrt(v). On AVX-512 the divider takes 16 to 20 cycles per vector, more than the rest of
// a step together: there an estimate of 14 bits and one Newton step, about 1 ulp from the rounded
// result for normal numbers; root of 0 is 0. A zero divisor gives NaN.
template <class V>
DENSA_ALWAYS_INLINE V quotient(V a, V b) {
  return a / b;
}
template <class V>
DENSA_ALWAYS_INLINE V root(V v) {
  return sqrt(v);
}
#if DENSA_LEVEL == DENSA_LEVEL_v4 || DENSA_LEVEL == DENSA_LEVEL_v4x
DENSA_ALWAYS_INLINE Vec<float> quotient(Vec<float> a, Vec<float> b) {
  const Vec<float> guess = (Vec<float>)_mm512_maskz_rcp14_ps(0xffff, (__m512)b);
  return a * mul_add(guess, mul_add(-b, guess, lane<Vec<float>>(1)), guess);
}
DENSA_ALWAYS_INLINE Vec<float> root(Vec<float> v) {
  const Vec<float> least = lane<Vec<float>>(0x1p-126f);  // the estimate of 0 would be inf
  const Vec<float> guess = (Vec<float>)_mm512_maskz_rsqrt14_ps(0xffff, (__m512)max_fast(least, v));
  const Vec<float> half = guess * lane<Vec<float>>(0.5f), r = v * guess;
  return mul_add(r, mul_add(-half, r, lane<Vec<float>>(0.5f)), r);
}
#endif

// The moving average a, one step on towards g.
template <class V>
DENSA_ALWAYS_INLINE V towards(V a, V g, V rate) {
  return mul_add(g - a, rate, a);
}

struct Sgd {
  static constexpr int kSlots = 0;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V*, const C& c) {
    w -= g * c.lr;
  }
};

template <bool kNesterov>
struct SgdMomentum {
  static constexpr int kSlots = 1;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    const V move = g * c.lr;
    s[0] = s[0] * c.momentum - move;
    if constexpr (kNesterov) {
      w += s[0] * c.momentum - move;
    } else {
      w += s[0];
    }
  }
};

// Slots: velocity, then momentum, then the average gradient, where used.
template <bool kMomentum, bool kCentered>
struct RmsProp {
  static constexpr int kSlots = 1 + kMomentum + kCentered;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    s[0] = c.rho * s[0] + c.one_minus_rho * (g * g);
    V denominator = s[0] + c.epsilon;
    if constexpr (kCentered) {
      V& average = s[kSlots - 1];
      average = c.rho * average + c.one_minus_rho * g;
      denominator = s[0] - average * average + c.epsilon;
    }
    const V move = quotient(c.lr * g, root(denominator));
    if constexpr (kMomentum) {
      s[1] = c.momentum * s[1] + move;
      w -= s[1];
    } else {
      w -= move;
    }
  }
};

using RmsPropPlain = RmsProp<false, false>;
using RmsPropMomentum = RmsProp<true, false>;
using RmsPropCentered = RmsProp<false, true>;
using RmsPropCenteredMomentum = RmsProp<true, true>;

struct Adagrad {
  static constexpr int kSlots = 1;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    s[0] += g * g;
    w -= quotient(c.lr * g, root(s[0] + c.epsilon));
  }
};

struct Adadelta {
  static constexpr int kSlots = 2;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    s[0] = c.rho * s[0] + c.one_minus_rho * (g * g);
    const V move = quotient(root(s[1] + c.epsilon) * g, root(s[0] + c.epsilon));
    s[1] = c.rho * s[1] + c.one_minus_rho * (move * move);
    w -= c.lr * move;
  }
};

template <bool kAmsgrad>
struct Adam {
  static constexpr int kSlots = 2 + kAmsgrad;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    s[0] = towards(s[0], g, c.one_minus_beta_1);
    s[1] = mul_add(mul_add(g, g, -s[1]), c.one_minus_beta_2, s[1]);
    V v = s[1];
    if constexpr (kAmsgrad) {
      s[2] = maximum(s[2], s[1]);
      v = s[2];
    }
    w -= quotient(s[0] * c.alpha, root(v) + c.epsilon);
  }
};

struct Adamax {  // alpha = lr / (1 - beta_1^t)
  static constexpr int kSlots = 2;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    s[0] = towards(s[0], g, c.one_minus_beta_1);
    s[1] = maximum(c.beta_2 * s[1], abs(g));
    w -= quotient(c.alpha * s[0], s[1] + c.epsilon);
  }
};

// With u_t = beta_1 (1 - 0.96^t / 2) and U_t = u_1 ... u_t: m_factor = u_(t+1) / (1 - U_(t+1)),
// g_factor = (1 - u_t) / (1 - U_t), v_factor = 1 / (1 - beta_2^t).
struct Nadam {
  static constexpr int kSlots = 2;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    s[0] = towards(s[0], g, c.one_minus_beta_1);
    s[1] = mul_add(mul_add(g, g, -s[1]), c.one_minus_beta_2, s[1]);
    const V m = c.m_factor * s[0] + c.g_factor * g;
    w -= quotient(m * c.lr, root(s[1] * c.v_factor) + c.epsilon);
  }
};

struct Lion {
  static constexpr int kSlots = 1;
  template <class V, class C>
  DENSA_ALWAYS_INLINE static void step(V& w, V g, V* s, const C& c) {
    const V mix = s[0] * c.beta_1 + g * c.one_minus_beta_1;
    const V zero = V{};
    // sign(mix): zero stays zero and NaN stays NaN.
    const V sign = select(mix > zero, zero + 1, select(mix < zero, zero - 1, mix));
    w -= c.lr * sign;
    s[0] = s[0] * c.beta_2 + g * c.one_minus_beta_2;
  }
};

}  // namespace densa::inline DENSA_ISA
