// Optimizer steps over contiguous runs of parameters, with Keras 3's update rules.
//
// formula.h holds the rules, list.inc their names and slots; this header is what the plan and the
// Python binding use. Not ops: steps change their arguments and have no gradient.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/pod.h"

namespace densa {

inline constexpr int kMaxSlots = 3;

// What one step needs beside the arrays; made once per step by StepMaker. A rule reads some of it.
// Gradients are first scaled by grad_scale, then cut to [-clip_value, clip_value]; weights first
// lose w * decay.
template <class T>
struct StepNumbers {
  T grad_scale = 1;
  T clip_value = static_cast<T>(__builtin_inf());
  T decay = 0;  // weight_decay * learning rate
  T lr = 0;
  T epsilon = 0;
  T momentum = 0;                      // sgd, rmsprop
  T rho = 0, one_minus_rho = 0;        // rmsprop, adadelta
  T beta_1 = 0, one_minus_beta_1 = 0;  // adam family, lion
  T beta_2 = 0, one_minus_beta_2 = 0;
  T alpha = 0;                                 // adam, adamax: lr with the bias correction
  T m_factor = 0, g_factor = 0, v_factor = 0;  // nadam
};

// w, g and the slots have n elements each and do not overlap. g may lie in a scratch block.
template <class T>
using StepFn = void (*)(T* w, const T* g, T* const* slots, std::ptrdiff_t n, const StepNumbers<T>&);

// What brings a gradient of this norm down to the limit, as Keras' clip_by_norm; NaN for NaN.
DENSA_ALWAYS_INLINE double clip_factor(double norm, double limit) {
  return norm > limit ? limit / norm : norm == norm ? 1.0 : norm;
}

// One rule on one CPU level.
struct OptimizerKernel {
  const char* name;  // "adam", "adam_amsgrad", ...
  int slot_count;
  const char* slot_names[kMaxSlots];  // Keras' variable names: "momentum", "velocity", ...
  StepFn<float> step_f32;
  StepFn<double> step_f64;
};

// Sum of g[i]^2 in double, in an order fixed by n alone: the same on every level and thread count.
// Norms over several runs add these in the caller's order.
double sum_squares(const float* g, std::ptrdiff_t n);
double sum_squares(const double* g, std::ptrdiff_t n);

}  // namespace densa
