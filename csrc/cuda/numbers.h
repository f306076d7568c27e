// Numbers of 16 bits in the memory of a GPU, which kernels read and write as float32.
//
// Numbers<float> is memory whose format a kernel is told at run time, so one kernel serves float32,
// bfloat16 and float16; the branch is the same for all threads. What is written is rounded to
// nearest, halves to even. AnyFloat stands for it among the element types of launch_map.
#pragma once
#include <type_traits>

#include "base/half.h"
#include "base/number_format.h"
#include "cuda/strided.h"

namespace densa::inline DENSA_ISA {

// A GPU has instructions for what half_bits does (for bfloat16 from sm_80 on); they differ in the
// payload of NaN only.
__device__ inline float from_half(NumberFormat format, std::uint16_t x) {
  if (format == NumberFormat::kBFloat16) return half_bits::from_bfloat16(x);
#if defined(__CUDA_ARCH__)
  float out = 0;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(x));
  return out;
#else
  return half_bits::from_float16(x);
#endif
}
__device__ inline std::uint16_t to_half(NumberFormat format, float x) {
#if defined(__CUDA_ARCH__)
  std::uint16_t out = 0;
  if (format == NumberFormat::kBFloat16) {
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out) : "f"(x));
#else
    out = half_bits::to_bfloat16(x);
#endif
  } else {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out) : "f"(x));
  }
  return out;
#else
  return format == NumberFormat::kBFloat16 ? half_bits::to_bfloat16(x) : half_bits::to_float16(x);
#endif
}

// Four at once: the format is asked for once.
__device__ inline Four<float> from_halves(NumberFormat format, const Four<std::uint16_t>& x) {
  Four<float> out;
  if (format == NumberFormat::kBFloat16) {
    for (int j = 0; j < 4; ++j) out.x[j] = from_half(NumberFormat::kBFloat16, x.x[j]);
  } else {
    for (int j = 0; j < 4; ++j) out.x[j] = from_half(NumberFormat::kFloat16, x.x[j]);
  }
  return out;
}
__device__ inline Four<std::uint16_t> to_halves(NumberFormat format, const Four<float>& x) {
  Four<std::uint16_t> out;
  if (format == NumberFormat::kBFloat16) {
    for (int j = 0; j < 4; ++j) out.x[j] = to_half(NumberFormat::kBFloat16, x.x[j]);
  } else {
    for (int j = 0; j < 4; ++j) out.x[j] = to_half(NumberFormat::kFloat16, x.x[j]);
  }
  return out;
}
__device__ inline float as_half(NumberFormat format, float x) {
  return from_half(format, to_half(format, x));
}

// T is float or const float.
template <class T>
struct Numbers {
  using Half = std::conditional_t<std::is_const_v<T>, const std::uint16_t, std::uint16_t>;
  using Raw = std::conditional_t<std::is_const_v<T>, const void, void>;
  NumberFormat format = NumberFormat::kFull;

  DENSA_HD static Numbers of(Raw* data, NumberFormat format) {
    Numbers out;
    out.format = format;
#if defined(DENSA_EMULATED)
    if (format == NumberFormat::kFull) {
      out.full_ = Global<T>(static_cast<T*>(data));
    } else {
      out.half_ = Global<Half>(static_cast<Half*>(data));
    }
#else
    out.data_ = data;
#endif
    return out;
  }
  static Numbers of(const View& view) { return of(view.data, format_of(view.dtype)); }
  // What begins at `data`, whatever its format.
  __device__ static Numbers at(const Global<T>& data, NumberFormat format) {
#if defined(DENSA_EMULATED)
    return of(data.pointer(), format);
#else
    return of(data, format);
#endif
  }
  __device__ float operator[](std::ptrdiff_t i) const {
    return format == NumberFormat::kFull ? full()[i] : from_half(format, half()[i]);
  }

#if defined(DENSA_EMULATED)
  Global<T> full() const { return full_; }
  Global<Half> half() const { return half_; }

 private:
  Global<T> full_;  // which know the memory that they were made for
  Global<Half> half_;
#else
  __device__ Global<T> full() const { return static_cast<T*>(data_); }
  __device__ Global<Half> half() const { return static_cast<Half*>(data_); }

 private:
  Raw* data_ = nullptr;
#endif
};

__device__ inline Four<float> load_four(const Numbers<const float>& x, std::ptrdiff_t i) {
  if (x.format == NumberFormat::kFull) return load_four(x.full(), i);
  const Four<std::uint16_t> halves = load_four(x.half(), i);
  return from_halves(x.format, halves);
}
__device__ inline void put(const Numbers<float>& y, std::ptrdiff_t i, float value) {
  if (y.format == NumberFormat::kFull) {
    y.full()[i] = value;
  } else {
    y.half()[i] = to_half(y.format, value);
  }
}
__device__ inline void put_four(const Numbers<float>& y, std::ptrdiff_t i,
                                const Four<float>& value) {
  if (y.format == NumberFormat::kFull) {
    store_four(y.full(), i, value);
  } else {
    store_four(y.half(), i, to_halves(y.format, value));
  }
}

// What `value` is after it was put to y.
__device__ inline float as_put(const Numbers<float>& y, float value) {
  return y.format == NumberFormat::kFull ? value : as_half(y.format, value);
}
template <class T>
__device__ T as_put(const Global<T>&, std::type_identity_t<T> value) {
  return value;
}

struct AnyFloat {};

template <>
struct Memory<AnyFloat> {
  using Number = float;
  using In = Numbers<const float>;
  using Out = Numbers<float>;
  static constexpr std::size_t kBytes = sizeof(float);
  static In in(const View& view) { return In::of(view); }
  static Out out(const View& view) { return Out::of(view); }
  static bool fits_four(const View& view) {
    return reinterpret_cast<std::uintptr_t>(view.data) % (4 * bytes_of(format_of(view.dtype))) == 0;
  }
};

// The memory of floating point operands of an op whose arithmetic is T.
template <class T>
using FloatMemory = Memory<std::conditional_t<sizeof(T) == 4, AnyFloat, T>>;

}  // namespace densa::inline DENSA_ISA
