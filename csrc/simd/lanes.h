// Vectors of lanes: one source for every CPU level.
//
// Vec<T> is a GCC/Clang vector type, so + - * / < == & | ~ work on it, between vectors and with a
// scalar of the lane type. Comparisons give a mask (an integer vector, 0 or -1 per lane; `bool` for
// a scalar) for select. What the operators lack stands here, overloaded for a plain float or double
// too, so that `template <class V> static V value(V z)` serves V = float, double, Vec<float> and
// Vec<double>, with the same bits per lane on one CPU level.
//
//   for (; n >= kLanes<float>; n -= kLanes<float>, x += kLanes<float>, y += kLanes<float>)
//     store(y, mul_add(load(x), lane<Vec<float>>(2), load(y)));
//   store_part(y, mul_add(load_part(x, n), lane<Vec<float>>(2), load_part(y, n)), n);
#pragma once

#include "base/pod.h"
#include "simd/level.h"
#if !DENSA_VECTORS
#include "simd/native_gpu.h"
#elif defined(__aarch64__)
#include "simd/native_neon.h"
#else
#include "simd/native_x86.h"
#endif

namespace densa::inline DENSA_ISA {

inline constexpr std::size_t kVectorBytes = native::kBytes;
inline constexpr bool kFusedMulAdd = DENSA_LEVEL != DENSA_LEVEL_v2;

template <class T>
inline constexpr std::size_t kLanes = DENSA_VECTORS ? kVectorBytes / sizeof(T) : 1;

namespace detail {

// What belongs to a type of lanes: its element, its integers of equal size, its vector.
template <class T>
struct LaneTraits;

#if DENSA_VECTORS
#define DENSA_LANE_VECTOR(T) typedef std::T T##Vector __attribute__((vector_size(native::kBytes)));
typedef float floatVector __attribute__((vector_size(native::kBytes)));
typedef double doubleVector __attribute__((vector_size(native::kBytes)));
DENSA_LANE_VECTOR(int32_t)
DENSA_LANE_VECTOR(int64_t)
DENSA_LANE_VECTOR(uint32_t)
DENSA_LANE_VECTOR(uint64_t)
#undef DENSA_LANE_VECTOR

#define DENSA_LANE_TYPE(T, VectorOfT, kBits)                          \
  template <>                                                         \
  struct LaneTraits<T> {                                              \
    using Element = T;                                                \
    using Int = std::int##kBits##_t;                                  \
    using UInt = std::uint##kBits##_t;                                \
    using Vector = VectorOfT;                                         \
    static constexpr std::size_t kWidth = 1;                          \
  };                                                                  \
  template <>                                                         \
  struct LaneTraits<VectorOfT> {                                      \
    using Element = T;                                                \
    using Int = int##kBits##_tVector;                                 \
    using UInt = uint##kBits##_tVector;                               \
    static constexpr std::size_t kWidth = native::kBytes / sizeof(T); \
  };
#else  // the vector of a type is the type
#define DENSA_LANE_TYPE(T, VectorOfT, kBits) \
  template <>                                \
  struct LaneTraits<T> {                     \
    using Element = T;                       \
    using Int = std::int##kBits##_t;         \
    using UInt = std::uint##kBits##_t;       \
    using Vector = T;                        \
    static constexpr std::size_t kWidth = 1; \
  };
#endif
DENSA_LANE_TYPE(float, floatVector, 32)
DENSA_LANE_TYPE(double, doubleVector, 64)
DENSA_LANE_TYPE(std::int32_t, int32_tVector, 32)
DENSA_LANE_TYPE(std::int64_t, int64_tVector, 64)
DENSA_LANE_TYPE(std::uint32_t, uint32_tVector, 32)
DENSA_LANE_TYPE(std::uint64_t, uint64_tVector, 64)
#undef DENSA_LANE_TYPE

}  // namespace detail

template <class T>
using Vec = typename detail::LaneTraits<T>::Vector;
template <class V>  // float for float and Vec<float>
using Element = typename detail::LaneTraits<V>::Element;
template <class V>  // what holds V's bits: int32_t for float, Vec<int32_t> for Vec<float>
using IntOf = typename detail::LaneTraits<V>::Int;
template <class V>  // the same without a sign: wraps around, and shifts to the right without one
using UIntOf = typename detail::LaneTraits<V>::UInt;
template <class V>  // 1 for a scalar
inline constexpr std::size_t kWidth = detail::LaneTraits<V>::kWidth;

// ---- constants, bits, conversions ----

template <class T>
DENSA_ALWAYS_INLINE Vec<T> broadcast(T x) {
  return x - Vec<T>{};  // minus, not plus: keeps -0.0
}

// The constant in every lane of a V.
template <class V>
DENSA_ALWAYS_INLINE V lane(Element<V> x) {
  if constexpr (kWidth<V> == 1) {
    return x;
  } else {
    return broadcast<Element<V>>(x);
  }
}

template <class To, class From>
DENSA_ALWAYS_INLINE To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

// The bits of x as integers of the same size, and back: from_bits<V>(bits(x)) is x.
template <class V>
DENSA_ALWAYS_INLINE IntOf<V> bits(V x) {
  return bit_cast<IntOf<V>>(x);
}
template <class V>
DENSA_ALWAYS_INLINE UIntOf<V> unsigned_bits(V x) {
  return bit_cast<UIntOf<V>>(x);
}
template <class V>
DENSA_ALWAYS_INLINE V from_bits(IntOf<V> b) {
  return bit_cast<V>(b);
}
template <class V>
DENSA_ALWAYS_INLINE V from_bits(UIntOf<V> b) {
  return bit_cast<V>(b);
}

// Values, not bits, towards zero; what does not fit is unspecified. Widths must agree.
template <class To, class From>
DENSA_ALWAYS_INLINE To convert(From from) {
  if constexpr (kWidth<From> == 1) {
    return static_cast<To>(from);
  } else {
#if DENSA_VECTORS
    return __builtin_convertvector(from, To);
#endif
  }
}

// ---- memory: no alignment is asked for ----

template <class T>
DENSA_ALWAYS_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  // NOLINTNEXTLINE(clang-analyzer-unix.cstring.NullArg): it cannot tell which of a tile's are set
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
#if DENSA_VECTORS
template <class T>
DENSA_ALWAYS_INLINE void store(T* p, Vec<T> v) {
  __builtin_memcpy(p, &v, sizeof v);
}
#endif
template <class T>
DENSA_ALWAYS_INLINE void store(T* p, T x) {
  *p = x;
}

template <class T>
inline constexpr bool kIsFloat = false;
template <>
inline constexpr bool kIsFloat<float> = true;

// A V, scalar or vector, from kWidth<V> numbers of any arithmetic type, converted to V's element.
template <class V, class From>
DENSA_ALWAYS_INLINE V load_as(const From* p) {
  if constexpr (kWidth<V> == 1) {
    return static_cast<V>(*p);
#if DENSA_VECTORS
  } else if constexpr (sizeof(From) == 1 && kIsFloat<Element<V>>) {
    return (V)native::from_bytes(p);
  } else {
    typedef From Source __attribute__((vector_size(kWidth<V> * sizeof(From))));
    Source s;
    __builtin_memcpy(&s, p, sizeof s);
    return __builtin_convertvector(s, V);
#endif
  }
}

#if DENSA_VECTORS
// The first n lanes, 0 <= n <= kLanes<T>; the rest are zero. Touches nothing past p + n.
template <class T>
DENSA_ALWAYS_INLINE Vec<T> load_part(const T* p, std::size_t n) {
  if constexpr (sizeof(T) == 4) {
    return bit_cast<Vec<T>>(native::load_part(reinterpret_cast<const float*>(p), n));
  } else {
    return bit_cast<Vec<T>>(native::load_part(reinterpret_cast<const double*>(p), n));
  }
}
template <class T>
DENSA_ALWAYS_INLINE void store_part(T* p, Vec<T> v, std::size_t n) {
  if constexpr (sizeof(T) == 4) {
    native::store_part(reinterpret_cast<float*>(p), bit_cast<native::F32>(v), n);
  } else {
    native::store_part(reinterpret_cast<double*>(p), bit_cast<native::F64>(v), n);
  }
}

// p[at], lane by lane.
DENSA_ALWAYS_INLINE Vec<float> gather(const float* p, Vec<std::int32_t> at) {
  return (Vec<float>)native::gather(p, bit_cast<native::I32>(at));
}
DENSA_ALWAYS_INLINE Vec<double> gather(const double* p, Vec<std::int64_t> at) {
  return (Vec<double>)native::gather(p, bit_cast<native::I64>(at));
}
#endif

// ---- arithmetic ----

// a * b + c: rounded once, except on v2, which has no such instruction and rounds the product too.
DENSA_ALWAYS_INLINE float mul_add(float a, float b, float c) { return native::mul_add(a, b, c); }
DENSA_ALWAYS_INLINE double mul_add(double a, double b, double c) {
  return native::mul_add(a, b, c);
}
#if DENSA_VECTORS
DENSA_ALWAYS_INLINE Vec<float> mul_add(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)native::mul_add((native::F32)a, (native::F32)b, (native::F32)c);
}
DENSA_ALWAYS_INLINE Vec<double> mul_add(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)native::mul_add((native::F64)a, (native::F64)b, (native::F64)c);
}
#endif

// sqrt, and rounding to a whole number: ties to even, down, towards zero.
#if DENSA_VECTORS
#define DENSA_NATIVE_UNARY(name, call)                                  \
  DENSA_ALWAYS_INLINE float name(float x) { return native::call(x); }   \
  DENSA_ALWAYS_INLINE double name(double x) { return native::call(x); } \
  DENSA_ALWAYS_INLINE Vec<float> name(Vec<float> v) {                   \
    return (Vec<float>)native::call((native::F32)v);                    \
  }                                                                     \
  DENSA_ALWAYS_INLINE Vec<double> name(Vec<double> v) {                 \
    return (Vec<double>)native::call((native::F64)v);                   \
  }
#else
#define DENSA_NATIVE_UNARY(name, call)                                \
  DENSA_ALWAYS_INLINE float name(float x) { return native::call(x); } \
  DENSA_ALWAYS_INLINE double name(double x) { return native::call(x); }
#endif
DENSA_NATIVE_UNARY(sqrt, sqrt)
DENSA_NATIVE_UNARY(round_even, round<native::kToNearestEven>)
DENSA_NATIVE_UNARY(floor, round<native::kDown>)
DENSA_NATIVE_UNARY(trunc, round<native::kToZero>)
#undef DENSA_NATIVE_UNARY

// a where the mask is set, else b.
template <class M, class V>
DENSA_ALWAYS_INLINE V select(M mask, V a, V b) {
  return mask ? a : b;
}

// a > b ? a : b and a < b ? a : b, in one instruction: b where either is NaN.
#if DENSA_VECTORS
#define DENSA_NATIVE_CHOICE(name, compare)                                            \
  DENSA_ALWAYS_INLINE float name(float a, float b) { return a compare b ? a : b; }    \
  DENSA_ALWAYS_INLINE double name(double a, double b) { return a compare b ? a : b; } \
  DENSA_ALWAYS_INLINE Vec<float> name(Vec<float> a, Vec<float> b) {                   \
    return (Vec<float>)native::name((native::F32)a, (native::F32)b);                  \
  }                                                                                   \
  DENSA_ALWAYS_INLINE Vec<double> name(Vec<double> a, Vec<double> b) {                \
    return (Vec<double>)native::name((native::F64)a, (native::F64)b);                 \
  }
#else
#define DENSA_NATIVE_CHOICE(name, compare)                                         \
  DENSA_ALWAYS_INLINE float name(float a, float b) { return a compare b ? a : b; } \
  DENSA_ALWAYS_INLINE double name(double a, double b) { return a compare b ? a : b; }
#endif
DENSA_NATIVE_CHOICE(max_fast, >)
DENSA_NATIVE_CHOICE(min_fast, <)
#undef DENSA_NATIVE_CHOICE

// The larger (smaller) one; NaN if either is NaN, as np.maximum.
template <class V>
DENSA_ALWAYS_INLINE V maximum(V a, V b) {
  return select(a != a, a, max_fast(a, b));
}
template <class V>
DENSA_ALWAYS_INLINE V minimum(V a, V b) {
  return select(a != a, a, min_fast(a, b));
}

template <class V>  // only the sign bit, as a V
DENSA_ALWAYS_INLINE V sign_bit(V x) {
  return from_bits<V>(bits(x) & bits(lane<V>(Element<V>(-0.0))));
}
template <class V>
DENSA_ALWAYS_INLINE V abs(V x) {
  return from_bits<V>(bits(x) & ~bits(lane<V>(Element<V>(-0.0))));
}
template <class V>  // |magnitude| with the sign of `sign`, zeros and NaN included
DENSA_ALWAYS_INLINE V copy_sign(V magnitude, V sign) {
  return from_bits<V>(bits(abs(magnitude)) | bits(sign_bit(sign)));
}

#if DENSA_VECTORS
// ---- across the lanes: halves are folded, lane i with lane i + width / 2, until one is left ----

namespace detail {

struct Add {
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return a + b;
  }
};
struct Larger {
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return a != a ? a : a > b ? a : b;
  }
};
struct Smaller {
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return a != a ? a : a < b ? a : b;
  }
};

template <class Fold, std::size_t kCount, class V>
DENSA_ALWAYS_INLINE auto fold_lanes(V v) {
  if constexpr (kCount == 2) {
    return Fold::of(v[0], v[1]);
  } else if constexpr (kCount == 4) {
    return fold_lanes<Fold, 2>(
        Fold::of(__builtin_shufflevector(v, v, 0, 1), __builtin_shufflevector(v, v, 2, 3)));
  } else if constexpr (kCount == 8) {
    return fold_lanes<Fold, 4>(Fold::of(__builtin_shufflevector(v, v, 0, 1, 2, 3),
                                        __builtin_shufflevector(v, v, 4, 5, 6, 7)));
  } else {
    static_assert(kCount == 16);
    return fold_lanes<Fold, 8>(
        Fold::of(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
                 __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)));
  }
}

template <class Fold, class V>
DENSA_ALWAYS_INLINE Element<V> fold(V v) {
  if constexpr (kWidth<V> == 1) {
    return v;
  } else {
    return fold_lanes<Fold, kWidth<V>>(v);
  }
}

}  // namespace detail

template <class V>
DENSA_ALWAYS_INLINE Element<V> sum(V v) {
  return detail::fold<detail::Add>(v);
}
template <class V>  // NaN if any lane is NaN
DENSA_ALWAYS_INLINE Element<V> max(V v) {
  return detail::fold<detail::Larger>(v);
}
template <class V>
DENSA_ALWAYS_INLINE Element<V> min(V v) {
  return detail::fold<detail::Smaller>(v);
}

// ---- transpose ----

// dst[j * dst_stride + i] = src[i * src_stride + j] for i, j in 0..15; strides in elements. The
// blocks must not overlap. 16-byte pieces of the rows are loaded to where their lanes belong, so
// that only the transposes inside each 16 bytes are left for the shuffle unit.
DENSA_ALWAYS_INLINE void transpose16(const float* src, std::ptrdiff_t src_stride, float* dst,
                                     std::ptrdiff_t dst_stride) {
  using native::as_f32, native::as_f64, native::zip_high, native::zip_low;
  constexpr int kWide = static_cast<int>(kLanes<float>);
#pragma GCC unroll 4
  for (int row = 0; row < 16; row += kWide) {
#pragma GCC unroll 4
    for (int column = 0; column < 16; column += 4) {
      const float* s = src + row * src_stride + column;
      const native::F32 r0 = native::load_pieces(s, 4 * src_stride);
      const native::F32 r1 = native::load_pieces(s + src_stride, 4 * src_stride);
      const native::F32 r2 = native::load_pieces(s + 2 * src_stride, 4 * src_stride);
      const native::F32 r3 = native::load_pieces(s + 3 * src_stride, 4 * src_stride);
      const native::F64 low01 = as_f64(zip_low(r0, r1)), high01 = as_f64(zip_high(r0, r1));
      const native::F64 low23 = as_f64(zip_low(r2, r3)), high23 = as_f64(zip_high(r2, r3));
      float* d = dst + column * dst_stride + row;
      store(d, (Vec<float>)as_f32(zip_low(low01, low23)));
      store(d + dst_stride, (Vec<float>)as_f32(zip_high(low01, low23)));
      store(d + 2 * dst_stride, (Vec<float>)as_f32(zip_low(high01, high23)));
      store(d + 3 * dst_stride, (Vec<float>)as_f32(zip_high(high01, high23)));
    }
  }
}

DENSA_ALWAYS_INLINE void transpose16(const double* src, std::ptrdiff_t src_stride, double* dst,
                                     std::ptrdiff_t dst_stride) {
  constexpr int kWide = static_cast<int>(kLanes<double>);
#pragma GCC unroll 8
  for (int row = 0; row < 16; row += kWide) {
#pragma GCC unroll 8
    for (int column = 0; column < 16; column += 2) {
      const double* s = src + row * src_stride + column;
      const native::F64 even = native::load_pieces(s, 2 * src_stride);
      const native::F64 odd = native::load_pieces(s + src_stride, 2 * src_stride);
      double* d = dst + column * dst_stride + row;
      store(d, (Vec<double>)native::zip_low(even, odd));
      store(d + dst_stride, (Vec<double>)native::zip_high(even, odd));
    }
  }
}

#endif  // DENSA_VECTORS

}  // namespace densa::inline DENSA_ISA
