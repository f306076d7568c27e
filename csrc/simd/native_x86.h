// The few operations for which x86 vectors need intrinsics, under one name for every width.
// Only lanes.h includes this; kernels use the names that lanes.h gives.
#pragma once

#include <immintrin.h>

#include "base/pod.h"
#include "simd/level.h"

namespace densa::inline DENSA_ISA::native {

inline constexpr int kToNearestEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
inline constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
inline constexpr int kToZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

DENSA_ALWAYS_INLINE float sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
DENSA_ALWAYS_INLINE double sqrt(double x) {
  return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(x), _mm_set_sd(x)));
}
template <int kMode>
DENSA_ALWAYS_INLINE float round(float x) {
  return _mm_cvtss_f32(_mm_round_ss(_mm_set_ss(x), _mm_set_ss(x), kMode));
}
template <int kMode>
DENSA_ALWAYS_INLINE double round(double x) {
  return _mm_cvtsd_f64(_mm_round_sd(_mm_set_sd(x), _mm_set_sd(x), kMode));
}

#if DENSA_LEVEL == DENSA_LEVEL_v2
DENSA_ALWAYS_INLINE float mul_add(float a, float b, float c) { return a * b + c; }
DENSA_ALWAYS_INLINE double mul_add(double a, double b, double c) { return a * b + c; }
#else
DENSA_ALWAYS_INLINE float mul_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DENSA_ALWAYS_INLINE double mul_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
#endif

#if DENSA_LEVEL >= DENSA_LEVEL_v4  // 512 bits, partial access by mask registers

inline constexpr std::size_t kBytes = 64;
using F32 = __m512;
using F64 = __m512d;

// GCC 12 warns of the undefined pass-through operand in its own unmasked forms. A zeroing form
// with a full mask compiles to the same instruction.
inline constexpr __mmask16 kAll16 = 0xffff;
inline constexpr __mmask8 kAll8 = 0xff;

DENSA_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
DENSA_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return _mm512_fmadd_pd(a, b, c); }
// a > b ? a : b and a < b ? a : b, as the instruction does it: b where either is NaN.
DENSA_ALWAYS_INLINE F32 max_fast(F32 a, F32 b) { return _mm512_maskz_max_ps(kAll16, a, b); }
DENSA_ALWAYS_INLINE F64 max_fast(F64 a, F64 b) { return _mm512_maskz_max_pd(kAll8, a, b); }
DENSA_ALWAYS_INLINE F32 min_fast(F32 a, F32 b) { return _mm512_maskz_min_ps(kAll16, a, b); }
DENSA_ALWAYS_INLINE F64 min_fast(F64 a, F64 b) { return _mm512_maskz_min_pd(kAll8, a, b); }
DENSA_ALWAYS_INLINE F32 sqrt(F32 v) { return _mm512_maskz_sqrt_ps(kAll16, v); }
DENSA_ALWAYS_INLINE F64 sqrt(F64 v) { return _mm512_maskz_sqrt_pd(kAll8, v); }
template <int kMode>
DENSA_ALWAYS_INLINE F32 round(F32 v) {
  return _mm512_maskz_roundscale_ps(kAll16, v, kMode);
}
template <int kMode>
DENSA_ALWAYS_INLINE F64 round(F64 v) {
  return _mm512_maskz_roundscale_pd(kAll8, v, kMode);
}

// x * 2^n for a whole n, rounded once, also into the denormals.
DENSA_ALWAYS_INLINE F32 scale(F32 x, F32 n) { return _mm512_maskz_scalef_ps(kAll16, x, n); }
DENSA_ALWAYS_INLINE F64 scale(F64 x, F64 n) { return _mm512_maskz_scalef_pd(kAll8, x, n); }
DENSA_ALWAYS_INLINE float scale(float x, float n) {
  return _mm_cvtss_f32(_mm_scalef_ss(_mm_set_ss(x), _mm_set_ss(n)));
}
DENSA_ALWAYS_INLINE double scale(double x, double n) {
  return _mm_cvtsd_f64(_mm_scalef_sd(_mm_set_sd(x), _mm_set_sd(n)));
}

DENSA_ALWAYS_INLINE __mmask16 first16(std::size_t n) {
  return static_cast<__mmask16>(_bzhi_u32(0xffffu, static_cast<unsigned>(n)));
}
DENSA_ALWAYS_INLINE __mmask8 first8(std::size_t n) {
  return static_cast<__mmask8>(_bzhi_u32(0xffu, static_cast<unsigned>(n)));
}
DENSA_ALWAYS_INLINE F32 load_part(const float* p, std::size_t n) {
  return _mm512_maskz_loadu_ps(first16(n), p);
}
DENSA_ALWAYS_INLINE F64 load_part(const double* p, std::size_t n) {
  return _mm512_maskz_loadu_pd(first8(n), p);
}
DENSA_ALWAYS_INLINE void store_part(float* p, F32 v, std::size_t n) {
  _mm512_mask_storeu_ps(p, first16(n), v);
}
DENSA_ALWAYS_INLINE void store_part(double* p, F64 v, std::size_t n) {
  _mm512_mask_storeu_pd(p, first8(n), v);
}

using I32 = __m512i;
using I64 = __m512i;
DENSA_ALWAYS_INLINE F32 gather(const float* p, I32 at) {
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), kAll16, at, p, 4);
}
DENSA_ALWAYS_INLINE F64 gather(const double* p, I64 at) {
  return _mm512_mask_i64gather_pd(_mm512_setzero_pd(), kAll8, at, p, 8);
}

// Inside every 128-bit quarter: the low (high) halves of a and b, interleaved.
DENSA_ALWAYS_INLINE F32 zip_low(F32 a, F32 b) { return _mm512_maskz_unpacklo_ps(kAll16, a, b); }
DENSA_ALWAYS_INLINE F32 zip_high(F32 a, F32 b) { return _mm512_maskz_unpackhi_ps(kAll16, a, b); }
DENSA_ALWAYS_INLINE F64 zip_low(F64 a, F64 b) { return _mm512_maskz_unpacklo_pd(kAll8, a, b); }
DENSA_ALWAYS_INLINE F64 zip_high(F64 a, F64 b) { return _mm512_maskz_unpackhi_pd(kAll8, a, b); }
DENSA_ALWAYS_INLINE F64 as_f64(F32 v) { return _mm512_castps_pd(v); }
DENSA_ALWAYS_INLINE F32 as_f32(F64 v) { return _mm512_castpd_ps(v); }

// One vector out of 16-byte pieces that lie `stride` elements apart.
DENSA_ALWAYS_INLINE F32 load_pieces(const float* p, std::ptrdiff_t stride) {
  __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(p));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(p + stride), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 2 * stride), 2);
  return _mm512_insertf32x4(v, _mm_loadu_ps(p + 3 * stride), 3);
}
DENSA_ALWAYS_INLINE F64 load_pieces(const double* p, std::ptrdiff_t stride) {
  __m512d v = _mm512_castpd128_pd512(_mm_loadu_pd(p));
  v = _mm512_insertf64x2(v, _mm_loadu_pd(p + stride), 1);
  v = _mm512_insertf64x2(v, _mm_loadu_pd(p + 2 * stride), 2);
  return _mm512_insertf64x2(v, _mm_loadu_pd(p + 3 * stride), 3);
}

// 16 bytes as numbers. (The compiler's own conversion goes lane by lane.)
DENSA_ALWAYS_INLINE F32 from_bytes(const std::uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_maskz_cvtepi32_ps(kAll16, _mm512_maskz_cvtepu8_epi32(kAll16, bytes));
}
DENSA_ALWAYS_INLINE F32 from_bytes(const std::int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_maskz_cvtepi32_ps(kAll16, _mm512_maskz_cvtepi8_epi32(kAll16, bytes));
}

#elif DENSA_LEVEL == DENSA_LEVEL_v3  // 256 bits, partial access by vector masks

inline constexpr std::size_t kBytes = 32;
using F32 = __m256;
using F64 = __m256d;

DENSA_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
DENSA_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return _mm256_fmadd_pd(a, b, c); }
DENSA_ALWAYS_INLINE F32 max_fast(F32 a, F32 b) { return _mm256_max_ps(a, b); }
DENSA_ALWAYS_INLINE F64 max_fast(F64 a, F64 b) { return _mm256_max_pd(a, b); }
DENSA_ALWAYS_INLINE F32 min_fast(F32 a, F32 b) { return _mm256_min_ps(a, b); }
DENSA_ALWAYS_INLINE F64 min_fast(F64 a, F64 b) { return _mm256_min_pd(a, b); }
DENSA_ALWAYS_INLINE F32 sqrt(F32 v) { return _mm256_sqrt_ps(v); }
DENSA_ALWAYS_INLINE F64 sqrt(F64 v) { return _mm256_sqrt_pd(v); }
template <int kMode>
DENSA_ALWAYS_INLINE F32 round(F32 v) {
  return _mm256_round_ps(v, kMode);
}
template <int kMode>
DENSA_ALWAYS_INLINE F64 round(F64 v) {
  return _mm256_round_pd(v, kMode);
}

DENSA_ALWAYS_INLINE __m256i first8(std::size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
DENSA_ALWAYS_INLINE __m256i first4(std::size_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(n)),
                            _mm256_setr_epi64x(0, 1, 2, 3));
}
DENSA_ALWAYS_INLINE F32 load_part(const float* p, std::size_t n) {
  return _mm256_maskload_ps(p, first8(n));
}
DENSA_ALWAYS_INLINE F64 load_part(const double* p, std::size_t n) {
  return _mm256_maskload_pd(p, first4(n));
}
DENSA_ALWAYS_INLINE void store_part(float* p, F32 v, std::size_t n) {
  _mm256_maskstore_ps(p, first8(n), v);
}
DENSA_ALWAYS_INLINE void store_part(double* p, F64 v, std::size_t n) {
  _mm256_maskstore_pd(p, first4(n), v);
}

using I32 = __m256i;
using I64 = __m256i;
DENSA_ALWAYS_INLINE F32 gather(const float* p, I32 at) { return _mm256_i32gather_ps(p, at, 4); }
DENSA_ALWAYS_INLINE F64 gather(const double* p, I64 at) { return _mm256_i64gather_pd(p, at, 8); }

DENSA_ALWAYS_INLINE F32 zip_low(F32 a, F32 b) { return _mm256_unpacklo_ps(a, b); }
DENSA_ALWAYS_INLINE F32 zip_high(F32 a, F32 b) { return _mm256_unpackhi_ps(a, b); }
DENSA_ALWAYS_INLINE F64 zip_low(F64 a, F64 b) { return _mm256_unpacklo_pd(a, b); }
DENSA_ALWAYS_INLINE F64 zip_high(F64 a, F64 b) { return _mm256_unpackhi_pd(a, b); }
DENSA_ALWAYS_INLINE F64 as_f64(F32 v) { return _mm256_castps_pd(v); }
DENSA_ALWAYS_INLINE F32 as_f32(F64 v) { return _mm256_castpd_ps(v); }
DENSA_ALWAYS_INLINE F32 load_pieces(const float* p, std::ptrdiff_t stride) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + stride), 1);
}
DENSA_ALWAYS_INLINE F64 load_pieces(const double* p, std::ptrdiff_t stride) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + stride), 1);
}

DENSA_ALWAYS_INLINE F32 from_bytes(const std::uint8_t* p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
DENSA_ALWAYS_INLINE F32 from_bytes(const std::int8_t* p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

#else  // v2: 128 bits, no fused multiply-add, partial access lane by lane

inline constexpr std::size_t kBytes = 16;
using F32 = __m128;
using F64 = __m128d;

DENSA_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return a * b + c; }
DENSA_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return a * b + c; }
DENSA_ALWAYS_INLINE F32 max_fast(F32 a, F32 b) { return _mm_max_ps(a, b); }
DENSA_ALWAYS_INLINE F64 max_fast(F64 a, F64 b) { return _mm_max_pd(a, b); }
DENSA_ALWAYS_INLINE F32 min_fast(F32 a, F32 b) { return _mm_min_ps(a, b); }
DENSA_ALWAYS_INLINE F64 min_fast(F64 a, F64 b) { return _mm_min_pd(a, b); }
DENSA_ALWAYS_INLINE F32 sqrt(F32 v) { return _mm_sqrt_ps(v); }
DENSA_ALWAYS_INLINE F64 sqrt(F64 v) { return _mm_sqrt_pd(v); }
template <int kMode>
DENSA_ALWAYS_INLINE F32 round(F32 v) {
  return _mm_round_ps(v, kMode);
}
template <int kMode>
DENSA_ALWAYS_INLINE F64 round(F64 v) {
  return _mm_round_pd(v, kMode);
}

DENSA_ALWAYS_INLINE F32 load_part(const float* p, std::size_t n) {
  F32 v{};
  for (std::size_t i = 0; i < n && i < 4; ++i) v[i] = p[i];
  return v;
}
DENSA_ALWAYS_INLINE F64 load_part(const double* p, std::size_t n) {
  F64 v{};
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

DENSA_ALWAYS_INLINE F32 zip_low(F32 a, F32 b) { return _mm_unpacklo_ps(a, b); }
DENSA_ALWAYS_INLINE F32 zip_high(F32 a, F32 b) { return _mm_unpackhi_ps(a, b); }
DENSA_ALWAYS_INLINE F64 zip_low(F64 a, F64 b) { return _mm_unpacklo_pd(a, b); }
DENSA_ALWAYS_INLINE F64 zip_high(F64 a, F64 b) { return _mm_unpackhi_pd(a, b); }
DENSA_ALWAYS_INLINE F64 as_f64(F32 v) { return _mm_castps_pd(v); }
DENSA_ALWAYS_INLINE F32 as_f32(F64 v) { return _mm_castpd_ps(v); }
DENSA_ALWAYS_INLINE F32 load_pieces(const float* p, std::ptrdiff_t) { return _mm_loadu_ps(p); }
DENSA_ALWAYS_INLINE F64 load_pieces(const double* p, std::ptrdiff_t) { return _mm_loadu_pd(p); }

DENSA_ALWAYS_INLINE F32 from_bytes(const std::uint8_t* p) {
  int bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
}
DENSA_ALWAYS_INLINE F32 from_bytes(const std::int8_t* p) {
  int bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  return _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(bytes)));
}

#endif

}  // namespace densa::inline DENSA_ISA::native
