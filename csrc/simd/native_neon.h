// The few operations for which Neon vectors need intrinsics; the names of native_x86.h.
// Only lanes.h includes this; kernels use the names that lanes.h gives.
#pragma once

#include <arm_neon.h>

#include "base/pod.h"
#include "simd/level.h"

namespace densa::inline DENSA_ISA::native {

inline constexpr std::size_t kBytes = 16;
using F32 = float32x4_t;
using F64 = float64x2_t;

enum : int { kToNearestEven, kDown, kToZero };

DENSA_ALWAYS_INLINE float sqrt(float x) { return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0); }
DENSA_ALWAYS_INLINE double sqrt(double x) { return vget_lane_f64(vsqrt_f64(vdup_n_f64(x)), 0); }
DENSA_ALWAYS_INLINE F32 sqrt(F32 v) { return vsqrtq_f32(v); }
DENSA_ALWAYS_INLINE F64 sqrt(F64 v) { return vsqrtq_f64(v); }

template <int kMode>
DENSA_ALWAYS_INLINE F32 round(F32 v) {
  return kMode == kToNearestEven ? vrndnq_f32(v) : kMode == kDown ? vrndmq_f32(v) : vrndq_f32(v);
}
template <int kMode>
DENSA_ALWAYS_INLINE F64 round(F64 v) {
  return kMode == kToNearestEven ? vrndnq_f64(v) : kMode == kDown ? vrndmq_f64(v) : vrndq_f64(v);
}
template <int kMode>
DENSA_ALWAYS_INLINE float round(float x) {
  return vgetq_lane_f32(round<kMode>(vdupq_n_f32(x)), 0);
}
template <int kMode>
DENSA_ALWAYS_INLINE double round(double x) {
  return vgetq_lane_f64(round<kMode>(vdupq_n_f64(x)), 0);
}

DENSA_ALWAYS_INLINE float mul_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DENSA_ALWAYS_INLINE double mul_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
DENSA_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }
DENSA_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return vfmaq_f64(c, a, b); }
// a > b ? a : b and a < b ? a : b: Neon's own maximum treats NaN otherwise.
DENSA_ALWAYS_INLINE F32 max_fast(F32 a, F32 b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
DENSA_ALWAYS_INLINE F64 max_fast(F64 a, F64 b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
DENSA_ALWAYS_INLINE F32 min_fast(F32 a, F32 b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
DENSA_ALWAYS_INLINE F64 min_fast(F64 a, F64 b) { return vbslq_f64(vcltq_f64(a, b), a, b); }

DENSA_ALWAYS_INLINE F32 load_part(const float* p, std::size_t n) {
  F32 v = vdupq_n_f32(0);
  for (std::size_t i = 0; i < n && i < 4; ++i) v[i] = p[i];
  return v;
}
DENSA_ALWAYS_INLINE F64 load_part(const double* p, std::size_t n) {
  F64 v = vdupq_n_f64(0);
  for (std::size_t i = 0; i < n && i < 2; ++i) v[i] = p[i];
  return v;
}
DENSA_ALWAYS_INLINE void store_part(float* p, F32 v, std::size_t n) {
  for (std::size_t i = 0; i < n && i < 4; ++i) p[i] = v[i];
}
DENSA_ALWAYS_INLINE void store_part(double* p, F64 v, std::size_t n) {
  for (std::size_t i = 0; i < n && i < 2; ++i) p[i] = v[i];
}

typedef std::int32_t I32 __attribute__((vector_size(16)));
typedef std::int64_t I64 __attribute__((vector_size(16)));
DENSA_ALWAYS_INLINE F32 gather(const float* p, I32 at) {
  return F32{p[at[0]], p[at[1]], p[at[2]], p[at[3]]};
}
DENSA_ALWAYS_INLINE F64 gather(const double* p, I64 at) { return F64{p[at[0]], p[at[1]]}; }

DENSA_ALWAYS_INLINE F32 zip_low(F32 a, F32 b) { return vzip1q_f32(a, b); }
DENSA_ALWAYS_INLINE F32 zip_high(F32 a, F32 b) { return vzip2q_f32(a, b); }
DENSA_ALWAYS_INLINE F64 zip_low(F64 a, F64 b) { return vzip1q_f64(a, b); }
DENSA_ALWAYS_INLINE F64 zip_high(F64 a, F64 b) { return vzip2q_f64(a, b); }
DENSA_ALWAYS_INLINE F64 as_f64(F32 v) { return vreinterpretq_f64_f32(v); }
DENSA_ALWAYS_INLINE F32 as_f32(F64 v) { return vreinterpretq_f32_f64(v); }
DENSA_ALWAYS_INLINE F32 load_pieces(const float* p, std::ptrdiff_t) { return vld1q_f32(p); }
DENSA_ALWAYS_INLINE F64 load_pieces(const double* p, std::ptrdiff_t) { return vld1q_f64(p); }

// Four bytes as numbers.
DENSA_ALWAYS_INLINE F32 from_bytes(const std::uint8_t* p) {
  std::uint32_t bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(bytes)));
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
}
DENSA_ALWAYS_INLINE F32 from_bytes(const std::int8_t* p) {
  std::uint32_t bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  const int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(bytes)));
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}

}  // namespace densa::inline DENSA_ISA::native
