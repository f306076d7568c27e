// The unary formulas by number, for kernels that end in one: the place of its line in list.inc.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/pod.h"
#include "ops/elementwise/formula.h"
#include "ops/elementwise/slopes.h"

namespace densa::inline DENSA_ISA {

enum class Formula : int {
  kNone = -1,
#define DENSA_UNARY(name, Formula, doc) k_##name,
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) k_##name,
#include "ops/elementwise/list.inc"
};

struct NumberedFormula {
  const char* name;
  const char* attribute;  // null: no parameter
  double missing;
};
inline constexpr NumberedFormula kNumberedFormulas[] = {
#define DENSA_UNARY(name, Formula, doc) {#name, nullptr, 0},
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) {#name, attribute, missing},
#include "ops/elementwise/list.inc"
};

template <class F, class T>
DENSA_ALWAYS_INLINE T formula_value(double parameter, T z) {
  if constexpr (__is_empty(F)) {
    return F{}.value(z);
  } else {
    return F{{}, parameter}.value(z);
  }
}

// All formulas in one function that is called, not inlined: kernels stay small.
template <class T>
DENSA_HD __attribute__((noinline)) T any_formula(Formula which, double parameter, T z) {
#define DENSA_IF(name, F) \
  if (which == Formula::k_##name) return formula_value<F>(parameter, z);
#define DENSA_UNARY(name, F, doc) DENSA_IF(name, F)
#define DENSA_UNARY_WITH(name, F, attribute, missing, doc) DENSA_IF(name, F)
#include "ops/elementwise/list.inc"
#undef DENSA_IF
  return z;
}

template <class F, bool kKnown, class T>
DENSA_ALWAYS_INLINE T formula_slope(double parameter, T saved) {
  if constexpr (F::kSaved != Saved::kOutput && !kKnown) {
    return T{0};  // a pass asks for none of these
  } else if constexpr (__is_empty(F)) {
    return F{}.slope(saved);
  } else {
    return F{{}, parameter}.slope(saved);
  }
}

// f' from what it is computed from: where that is y, or z and the slope is cheap, or, with kUsual,
// usual. kNone: `saved` is the slope.
template <bool kUsual, class T>
DENSA_HD __attribute__((noinline)) T slope_from_saved(Formula which, double parameter, T saved) {
  // clang-format off
  switch (which) {
#define DENSA_SLOPE(name, F) \
    case Formula::k_##name: \
      return formula_slope<F, has_cheap_slope(#name) || (kUsual && has_usual_slope(#name))>( \
          parameter, saved);
#define DENSA_UNARY(name, F, doc) DENSA_SLOPE(name, F)
#define DENSA_UNARY_WITH(name, F, attribute, missing, doc) DENSA_SLOPE(name, F)
#include "ops/elementwise/list.inc"
#undef DENSA_SLOPE
    case Formula::kNone: break;
  }
  // clang-format on
  return saved;
}

// The activations that layers use most, without a parameter or with one: what a kernel may carry
// with it.
#define DENSA_USUAL(of)                                                                     \
  of(sigmoid, Sigmoid) of(tanh, Tanh) of(silu, Silu) of(gelu, Gelu) of(gelu_tanh, GeluTanh) \
      of(leaky_relu, LeakyRelu) of(elu, Elu) of(selu, Selu)

DENSA_HD inline bool is_usual(Formula which) {
#define DENSA_IF(name, F) \
  if (which == Formula::k_##name) return true;
  DENSA_USUAL(DENSA_IF)
#undef DENSA_IF
  return which == Formula::kNone || which == Formula::k_relu;
}

template <class T>
DENSA_HD __attribute__((noinline)) T usual_formula(Formula which, double parameter, T z) {
#define DENSA_IF(name, F) \
  if (which == Formula::k_##name) return formula_value<F>(parameter, z);
  DENSA_USUAL(DENSA_IF)
#undef DENSA_IF
  return z;
}
#undef DENSA_USUAL

}  // namespace densa::inline DENSA_ISA
