// The few operations for which a CUDA thread needs more than operators; the names of native_x86.h.
// Contraction is off for CUDA code, so these are the only fused operations. The host's versions
// give the same bits: they serve the emulation and what a .cu file computes before a launch.
// Only lanes.h includes this; kernels use the names that lanes.h gives.
#pragma once

#include "base/pod.h"
#include "simd/level.h"

namespace densa::inline DENSA_ISA::native {

inline constexpr std::size_t kBytes = 8;

enum : int { kToNearestEven, kDown, kToZero };

DENSA_ALWAYS_INLINE float mul_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DENSA_ALWAYS_INLINE double mul_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
DENSA_ALWAYS_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
DENSA_ALWAYS_INLINE double sqrt(double x) { return __builtin_sqrt(x); }

template <int kMode>
DENSA_ALWAYS_INLINE float round(float x) {
  if constexpr (kMode == kToNearestEven) return __builtin_rintf(x);
  if constexpr (kMode == kDown) return __builtin_floorf(x);
  return __builtin_truncf(x);
}
template <int kMode>
DENSA_ALWAYS_INLINE double round(double x) {
  if constexpr (kMode == kToNearestEven) return __builtin_rint(x);
  if constexpr (kMode == kDown) return __builtin_floor(x);
  return __builtin_trunc(x);
}

}  // namespace densa::inline DENSA_ISA::native
