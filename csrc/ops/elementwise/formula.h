// Every elementwise formula, over V = float, double or a vector of them.
//
// value(z) is f(z). slope(s) is f'(z), from the input z or the output y as kSaved says; curve(s) is
// the derivative of slope(s) with respect to s. Slopes at kinks are those of TensorFlow, whose
// Keras gives relu'(0) = 0. Parameters are members.
//
// Accuracy in float32, beside the 2 ulp of simd/math.h: a gated activation z * g(z) carries the
// rounding of g and of a few products, so it is within 4 ulp where g(z) > 2^-10; below, the gate
// is a difference near zero and the error is bounded by 2^-22 |z| instead.
#pragma once

#include "ops/elementwise/elementwise.h"
#include "simd/lanes.h"
#include "simd/math.h"

#define DENSA_FORMULA \
  template <class V>  \
  DENSA_ALWAYS_INLINE V

namespace densa::inline DENSA_ISA {

// A formula without parameters whose slope comes from its input, or from its output.
struct FromInput {
  static constexpr Saved kSaved = Saved::kInput;
};
struct FromOutput {
  static constexpr Saved kSaved = Saved::kOutput;
};
struct Flat {  // stairs: no gradient
  static constexpr Saved kSaved = Saved::kNone;
};

namespace detail {

DENSA_FORMULA clamp(V z, Element<V> low, Element<V> high) {  // NaN stays
  const V l = lane<V>(low), h = lane<V>(high);
  return select(z < l, l, select(z > h, h, z));
}
// Far from zero every gate is 0 or 1 to the last bit; this keeps inf * 0 out of the products.
inline constexpr int kFar = 1000;

DENSA_FORMULA gated(V z, V gate) {  // z * gate, with gate 0 winning over z = -inf
  return select(z < lane<V>(-1e30f), lane<V>(Element<V>(-0.0)), z) * gate;
}
template <int n>
inline constexpr double kTwoTo = [] {
  double power = 1;
  for (int i = 0; i < n; ++i) power *= 2;
  for (int i = 0; i > n; --i) power /= 2;
  return power;
}();
DENSA_FORMULA normal_density(V z) {
  return exp(z * z * lane<V>(-0.5)) * lane<V>(Element<V>(0.39894228040143267794));
}

}  // namespace detail

// ---- arithmetic ---------------------------------------------------------------------------------

struct Negative : FromOutput {
  DENSA_FORMULA value(V z) const { return -z; }
  DENSA_FORMULA slope(V) const { return lane<V>(-1); }
  DENSA_FORMULA curve(V) const { return lane<V>(0); }
};
struct Sign : Flat {
  DENSA_FORMULA value(V z) const {
    const V zero = lane<V>(0);
    return select(z > zero, lane<V>(1), select(z < zero, lane<V>(-1), z));
  }
};
struct Absolute : FromInput {
  DENSA_FORMULA value(V z) const { return abs(z); }
  DENSA_FORMULA slope(V z) const { return Sign{}.value(z); }
  DENSA_FORMULA curve(V) const { return lane<V>(0); }
};
struct Square : FromInput {
  DENSA_FORMULA value(V z) const { return z * z; }
  DENSA_FORMULA slope(V z) const { return z + z; }
  DENSA_FORMULA curve(V) const { return lane<V>(2); }
};
struct Sqrt : FromOutput {
  DENSA_FORMULA value(V z) const { return sqrt(z); }
  DENSA_FORMULA slope(V y) const { return lane<V>(0.5) / y; }
  DENSA_FORMULA curve(V y) const { return lane<V>(-0.5) / (y * y); }
};
struct Rsqrt : FromOutput {
  DENSA_FORMULA value(V z) const { return lane<V>(1) / sqrt(z); }
  DENSA_FORMULA slope(V y) const { return lane<V>(-0.5) * y * y * y; }
  DENSA_FORMULA curve(V y) const { return lane<V>(-1.5) * y * y; }
};
struct Reciprocal : FromOutput {
  DENSA_FORMULA value(V z) const { return lane<V>(1) / z; }
  DENSA_FORMULA slope(V y) const { return -(y * y); }
  DENSA_FORMULA curve(V y) const { return lane<V>(-2) * y; }
};
struct Exp : FromOutput {
  DENSA_FORMULA value(V z) const { return exp(z); }
  DENSA_FORMULA slope(V y) const { return y; }
  DENSA_FORMULA curve(V) const { return lane<V>(1); }
};
struct Expm1 : FromOutput {
  DENSA_FORMULA value(V z) const { return expm1(z); }
  DENSA_FORMULA slope(V y) const { return y + lane<V>(1); }
  DENSA_FORMULA curve(V) const { return lane<V>(1); }
};
struct Log : FromInput {
  DENSA_FORMULA value(V z) const { return log(z); }
  DENSA_FORMULA slope(V z) const { return lane<V>(1) / z; }
  DENSA_FORMULA curve(V z) const { return lane<V>(-1) / (z * z); }
};
struct Log1p : FromInput {
  DENSA_FORMULA value(V z) const { return log1p(z); }
  DENSA_FORMULA slope(V z) const { return Log{}.slope(z + lane<V>(1)); }
  DENSA_FORMULA curve(V z) const { return Log{}.curve(z + lane<V>(1)); }
};
struct Sin : FromInput {
  DENSA_FORMULA value(V z) const { return sin(z); }
  DENSA_FORMULA slope(V z) const { return cos(z); }
  DENSA_FORMULA curve(V z) const { return -sin(z); }
};
struct Cos : FromInput {
  DENSA_FORMULA value(V z) const { return cos(z); }
  DENSA_FORMULA slope(V z) const { return -sin(z); }
  DENSA_FORMULA curve(V z) const { return -cos(z); }
};
struct Erf : FromInput {
  DENSA_FORMULA value(V z) const { return erf(z); }
  DENSA_FORMULA slope(V z) const {
    return exp(-(z * z)) * lane<V>(Element<V>(1.12837916709551257390));  // 2 / sqrt(pi)
  }
  DENSA_FORMULA curve(V z) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar);
    return lane<V>(-2) * near * slope(near);
  }
};

// ---- stairs -------------------------------------------------------------------------------------

struct Floor : Flat {
  DENSA_FORMULA value(V z) const { return floor(z); }
};
struct Ceil : Flat {
  DENSA_FORMULA value(V z) const { return -floor(-z); }
};
struct Round : Flat {
  DENSA_FORMULA value(V z) const { return round_even(z); }
};

// The nearest float of 16 bits, ties to even; kBits of precision, the smallest normal number
// 2^kLow. Bits that are dropped carry into the exponent; below 2^kLow, where the step is one and
// the same, a sum that cannot hold more does it; what is too large becomes infinite.
template <int kBits, int kLow>
struct RoundToHalf : Flat {
  DENSA_FORMULA value(V z) const {
    using E = Element<V>;
    constexpr int kFraction = sizeof(E) == 4 ? 23 : 52, kDrop = kFraction - (kBits - 1);
    constexpr int kStep = kLow - (kBits - 1), kTop = 1 - kLow;  // as powers of two
    const UIntOf<V> b = unsigned_bits(z), one = b - b + 1;
    const V near = from_bits<V>(((b + ((one << (kDrop - 1)) - one)) + (b >> kDrop & one)) &
                                ~((one << kDrop) - one));
    V y = near;
    if constexpr (kLow > (sizeof(E) == 4 ? -126 : -1022)) {
      const V size = abs(z), all = lane<V>(E(1.5 * detail::kTwoTo<kFraction + kStep>));
      y = select(size < lane<V>(E(detail::kTwoTo<kLow>)), copy_sign((size + all) - all, z), y);
      constexpr E kLargest = E(detail::kTwoTo<kTop> * (2 - detail::kTwoTo<1 - kBits>));
      y = select(abs(near) > lane<V>(kLargest), copy_sign(lane<V>(E(__builtin_inf())), z), y);
    }
    return select(z != z, z, y);
  }
};
struct RoundFloat16 : RoundToHalf<11, -14> {};
struct RoundBFloat16 : RoundToHalf<8, -126> {};

// ---- activations --------------------------------------------------------------------------------

struct Relu : FromOutput {
  DENSA_FORMULA value(V z) const { return select(z < lane<V>(0), lane<V>(0), z); }
  DENSA_FORMULA slope(V y) const { return select(y > lane<V>(0), lane<V>(1), lane<V>(0)); }
  DENSA_FORMULA curve(V) const { return lane<V>(0); }
};
struct Relu6 : FromOutput {
  DENSA_FORMULA value(V z) const { return detail::clamp(z, 0, 6); }
  DENSA_FORMULA slope(V y) const {
    return select(y > lane<V>(0), select(y < lane<V>(6), lane<V>(1), lane<V>(0)), lane<V>(0));
  }
  DENSA_FORMULA curve(V) const { return lane<V>(0); }
};
struct LeakyRelu : FromInput {
  double negative_slope;
  DENSA_FORMULA value(V z) const {
    return select(z < lane<V>(0), z * lane<V>(Element<V>(negative_slope)), z);
  }
  DENSA_FORMULA slope(V z) const {
    return select(z > lane<V>(0), lane<V>(1), lane<V>(Element<V>(negative_slope)));
  }
  DENSA_FORMULA curve(V) const { return lane<V>(0); }
};
struct Elu : FromInput {
  double alpha;
  DENSA_FORMULA value(V z) const {
    return select(z < lane<V>(0), expm1(z) * lane<V>(Element<V>(alpha)), z);
  }
  DENSA_FORMULA slope(V z) const {
    return select(z < lane<V>(0), exp(z) * lane<V>(Element<V>(alpha)), lane<V>(1));
  }
  DENSA_FORMULA curve(V z) const {
    return select(z < lane<V>(0), exp(z) * lane<V>(Element<V>(alpha)), lane<V>(0));
  }
};
struct Celu : FromInput {
  double alpha;
  DENSA_FORMULA value(V z) const {
    const V a = lane<V>(Element<V>(alpha));
    return select(z < lane<V>(0), expm1(z / a) * a, z);
  }
  DENSA_FORMULA slope(V z) const {
    return select(z < lane<V>(0), exp(z / lane<V>(Element<V>(alpha))), lane<V>(1));
  }
  DENSA_FORMULA curve(V z) const {
    const V a = lane<V>(Element<V>(alpha));
    return select(z < lane<V>(0), exp(z / a) / a, lane<V>(0));
  }
};
struct Selu : FromOutput {
  static constexpr double kScale = 1.05070098735548049342;
  static constexpr double kScaleAlpha = 1.75809934084737685994;  // scale * alpha
  DENSA_FORMULA value(V z) const {
    return select(z < lane<V>(0), expm1(z) * lane<V>(Element<V>(kScaleAlpha)),
                  z * lane<V>(Element<V>(kScale)));
  }
  DENSA_FORMULA slope(V y) const {
    return select(y < lane<V>(0), y + lane<V>(Element<V>(kScaleAlpha)),
                  lane<V>(Element<V>(kScale)));
  }
  DENSA_FORMULA curve(V y) const { return select(y < lane<V>(0), lane<V>(1), lane<V>(0)); }
};
struct Sigmoid : FromOutput {
  DENSA_FORMULA value(V z) const { return sigmoid(z); }
  DENSA_FORMULA slope(V y) const { return y * (lane<V>(1) - y); }
  DENSA_FORMULA curve(V y) const { return lane<V>(1) - (y + y); }
};
struct Tanh : FromOutput {
  DENSA_FORMULA value(V z) const { return tanh(z); }
  DENSA_FORMULA slope(V y) const { return lane<V>(1) - y * y; }
  DENSA_FORMULA curve(V y) const { return lane<V>(-2) * y; }
};
struct HardSigmoid : FromInput {
  DENSA_FORMULA value(V z) const {
    return detail::clamp(z + lane<V>(3), 0, 6) * lane<V>(Element<V>(1.0 / 6));
  }
  DENSA_FORMULA slope(V z) const {
    return select(abs(z) < lane<V>(3), lane<V>(Element<V>(1.0 / 6)), lane<V>(0));
  }
  DENSA_FORMULA curve(V) const { return lane<V>(0); }
};
struct HardSilu : FromInput {
  DENSA_FORMULA value(V z) const { return detail::gated(z, HardSigmoid{}.value(z)); }
  DENSA_FORMULA slope(V z) const {
    const V inside = mul_add(z, lane<V>(Element<V>(1.0 / 3)), lane<V>(0.5));
    return select(z >= lane<V>(3), lane<V>(1), select(z <= lane<V>(-3), lane<V>(0), inside));
  }
  DENSA_FORMULA curve(V z) const {
    return select(abs(z) < lane<V>(3), lane<V>(Element<V>(1.0 / 3)), lane<V>(0));
  }
};
struct Softplus : FromInput {
  DENSA_FORMULA value(V z) const { return softplus(z); }
  DENSA_FORMULA slope(V z) const { return sigmoid(z); }
  DENSA_FORMULA curve(V z) const { return Sigmoid{}.slope(sigmoid(z)); }
};
struct LogSigmoid : FromInput {
  DENSA_FORMULA value(V z) const { return -softplus(-z); }
  DENSA_FORMULA slope(V z) const { return sigmoid(-z); }
  DENSA_FORMULA curve(V z) const { return -Sigmoid{}.slope(sigmoid(z)); }
};
struct Softsign : FromInput {
  DENSA_FORMULA value(V z) const {
    const V near = detail::clamp(z, Element<V>(-1e30f), Element<V>(1e30f));  // inf / inf is NaN
    return near / (lane<V>(1) + abs(near));
  }
  DENSA_FORMULA slope(V z) const {
    const V q = lane<V>(1) / (lane<V>(1) + abs(z));
    return q * q;
  }
  DENSA_FORMULA curve(V z) const {
    const V q = lane<V>(1) / (lane<V>(1) + abs(z));
    return lane<V>(-2) * Sign{}.value(z) * q * q * q;
  }
};

// z * Phi(z). Slope Phi + z phi, curve phi (2 - z^2).
struct Gelu : FromInput {
  DENSA_FORMULA gate(V z) const {
    return mul_add(erf(z * lane<V>(Element<V>(0.70710678118654752440))), lane<V>(0.5),
                   lane<V>(0.5));
  }
  DENSA_FORMULA value(V z) const { return detail::gated(z, gate(z)); }
  DENSA_FORMULA slope_of(V z, V gate) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar);
    return mul_add(near, detail::normal_density(near), gate);
  }
  DENSA_FORMULA slope(V z) const { return slope_of(z, gate(z)); }
  DENSA_FORMULA curve(V z) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar);
    return detail::normal_density(near) * (lane<V>(2) - near * near);
  }
};

// z * sigmoid(v), v = 2 sqrt(2 / pi) (z + 0.044715 z^3): the same as the form with tanh.
struct GeluTanh : FromInput {
  static constexpr double kLinear = 1.59576912160573071176;  // 2 sqrt(2 / pi)
  static constexpr double kCubic = kLinear * 0.044715;
  DENSA_FORMULA gate(V z) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar);
    const V inner = mul_add(near * near, lane<V>(Element<V>(kCubic)), lane<V>(Element<V>(kLinear)));
    return sigmoid(near * inner);
  }
  DENSA_FORMULA value(V z) const { return detail::gated(z, gate(z)); }
  DENSA_FORMULA slope_of(V z, V gate) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar);
    const V dv =
        mul_add(near * near, lane<V>(Element<V>(3 * kCubic)), lane<V>(Element<V>(kLinear)));
    return mul_add(near * dv, Sigmoid{}.slope(gate), gate);
  }
  DENSA_FORMULA slope(V z) const { return slope_of(z, gate(z)); }
  DENSA_FORMULA curve(V z) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar), g = gate(near);
    const V dv =
        mul_add(near * near, lane<V>(Element<V>(3 * kCubic)), lane<V>(Element<V>(kLinear)));
    const V ddv = near * lane<V>(Element<V>(6 * kCubic));
    const V dg = Sigmoid{}.slope(g);
    const V ddg = dg * (Sigmoid{}.curve(g) * dv * dv + ddv);
    return mul_add(near, ddg, lane<V>(2) * dg * dv);
  }
};

// z * sigmoid(z).
struct Silu : FromInput {
  DENSA_FORMULA gate(V z) const { return sigmoid(z); }
  DENSA_FORMULA value(V z) const { return detail::gated(z, gate(z)); }
  DENSA_FORMULA slope_of(V z, V gate) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar);
    return mul_add(near, Sigmoid{}.slope(gate), gate);
  }
  DENSA_FORMULA slope(V z) const { return slope_of(z, gate(z)); }
  DENSA_FORMULA curve(V z) const {
    const V near = detail::clamp(z, -detail::kFar, detail::kFar), g = gate(z);
    return Sigmoid{}.slope(g) * mul_add(near, Sigmoid{}.curve(g), lane<V>(2));
  }
};

// z * g with g = tanh(softplus(z)) = n / (n + 2), n = e (e + 2), e = exp(z). From z = 20 on, g is 1
// to the last bit of a double. g' = 4 e (e + 1) / (n + 2)^2.
struct Mish : FromInput {
  DENSA_FORMULA gate(V z) const {
    const V e = exp(detail::clamp(z, -detail::kFar, 20)), n = e * (e + lane<V>(2));
    return n / (n + lane<V>(2));
  }
  DENSA_FORMULA value(V z) const { return detail::gated(z, gate(z)); }
  DENSA_FORMULA slope(V z) const {
    const V near = detail::clamp(z, -detail::kFar, 20), e = exp(near);
    const V b = mul_add(e, e + lane<V>(2), lane<V>(2)), n = e * (e + lane<V>(2));
    const V dg = lane<V>(4) * (e * (e + lane<V>(1)) / b) / b;
    return mul_add(near, dg, n / b);
  }
  DENSA_FORMULA curve(V z) const {
    const V near = detail::clamp(z, -detail::kFar, 20), e = exp(near);
    const V a = e * (e + lane<V>(1)), b = mul_add(e, e + lane<V>(2), lane<V>(2));
    const V dg = lane<V>(4) * (a / b) / b;
    const V ddg = lane<V>(4) * (mul_add(e, e, a) / b - lane<V>(4) * (a / b) * (a / b)) / b;
    return mul_add(near, ddg, dg + dg);
  }
};

// y = f(z) and s = f'(z) from one evaluation.
template <class V, class F>
DENSA_ALWAYS_INLINE void both(const F& f, V z, V& y, V& s) {
  if constexpr (F::kSaved == Saved::kOutput) {
    y = f.value(z);
    s = f.slope(y);
  } else if constexpr (requires { f.slope_of(z, z); }) {  // z * gate: one gate for both
    const V gate = f.gate(z);
    y = detail::gated(z, gate);
    s = f.slope_of(z, gate);
  } else {
    y = f.value(z);
    s = f.slope(z);
  }
}

// ---- two operands -------------------------------------------------------------------------------

struct AddPair {
  DENSA_FORMULA value(V a, V b) const { return a + b; }
};
struct SubtractPair {
  DENSA_FORMULA value(V a, V b) const { return a - b; }
};
struct MultiplyPair {
  DENSA_FORMULA value(V a, V b) const { return a * b; }
};
struct DividePair {
  DENSA_FORMULA value(V a, V b) const { return a / b; }
};
struct MaximumPair {
  DENSA_FORMULA value(V a, V b) const { return maximum(a, b); }
};
struct MinimumPair {
  DENSA_FORMULA value(V a, V b) const { return minimum(a, b); }
};
struct PowerPair {
  DENSA_FORMULA value(V a, V b) const { return pow(a, b); }
};
// max(x, 0) - x t + log(1 + e^-|x|): no difference of large numbers for t = 0 or 1.
struct SigmoidCrossEntropyPair {
  DENSA_FORMULA value(V x, V t) const {
    const V rest = log1p(exp(-abs(x)));
    return (Relu{}.value(x) - x * t) + rest;
  }
};

}  // namespace densa::inline DENSA_ISA

#undef DENSA_FORMULA
