// Operands and results of products whose numbers may have 16 bits.
#pragma once
#include <type_traits>

#include "base/half.h"
#include "ops/matmul/product_forms.cuh"

namespace densa::inline DENSA_ISA {

DENSA_HD inline float from_half(NumberFormat format, std::uint16_t x) {
  return format == NumberFormat::kBFloat16 ? half_bits::from_bfloat16(x)
                                           : half_bits::from_float16(x);
}
DENSA_HD inline std::uint16_t to_half(NumberFormat format, float x) {
  return format == NumberFormat::kBFloat16 ? half_bits::to_bfloat16(x) : half_bits::to_float16(x);
}

// Memory of numbers in one of the formats; T is float or const float.
template <class T>
struct Numbers {
  using Half = std::conditional_t<std::is_const_v<T>, const std::uint16_t, std::uint16_t>;
  using Raw = std::conditional_t<std::is_const_v<T>, const void, void>;
  Global<T> full;
  Global<Half> half;
  NumberFormat format = NumberFormat::kFull;

  static Numbers of(Raw* data, NumberFormat format) {
    Numbers out;
    out.format = format;
    if (format == NumberFormat::kFull) {
      out.full = Global<T>(static_cast<T*>(data));
    } else {
      out.half = Global<Half>(static_cast<Half*>(data));
    }
    return out;
  }
  __device__ float operator[](std::ptrdiff_t i) const {
    return format == NumberFormat::kFull ? full[i] : from_half(format, half[i]);
  }
};

inline std::size_t bytes_of(NumberFormat format) {
  return format == NumberFormat::kFull ? sizeof(float) : sizeof(std::uint16_t);
}

__device__ inline void put(const Numbers<float>& y, std::ptrdiff_t i, float value) {
  if (y.format == NumberFormat::kFull) {
    y.full[i] = value;
  } else {
    y.half[i] = to_half(y.format, value);
  }
}
__device__ inline void put_four(const Numbers<float>& y, std::ptrdiff_t i,
                                const Four<float>& value) {
  if (y.format == NumberFormat::kFull) {
    store_four(y.full, i, value);
  } else {
    Four<std::uint16_t> halves;
    for (int j = 0; j < 4; ++j) halves.x[j] = to_half(y.format, value.x[j]);
    store_four(y.half, i, halves);
  }
}

// As TileOperand, of numbers that are rounded to `precision` when they are read.
struct MixedOperand {
  Numbers<const float> data;
  NumberFormat precision = NumberFormat::kFull;
  std::int64_t outer = 0;
  std::ptrdiff_t outer_step = 0, k_step = 0;
  bool along_k = false, by_four = false;
  bool by_eight = false;  // eight neighbours of 16 bits begin at multiples of 16 bytes

  static MixedOperand of(const ProductOperand& from, NumberFormat precision, std::int64_t outer,
                         std::ptrdiff_t outer_step, std::ptrdiff_t k_step) {
    MixedOperand out{Numbers<const float>::of(from.data, from.format), precision, outer, outer_step,
                     k_step};
    out.along_k = k_step == 1 && outer_step != 1;
    const std::ptrdiff_t near = out.along_k ? k_step : outer_step;
    const std::ptrdiff_t far = out.along_k ? outer_step : k_step;
    const auto aligned = [&](std::ptrdiff_t count) {
      const std::size_t bytes = static_cast<std::size_t>(count) * bytes_of(from.format);
      return near == 1 && far % count == 0 && steps_by(count, from.batch_strides) &&
             reinterpret_cast<std::uintptr_t>(from.data) % bytes == 0;
    };
    out.by_four = aligned(4);
    out.by_eight = from.format != NumberFormat::kFull && aligned(8);
    return out;
  }

  __device__ float rounded(float x) const {
    if (precision == NumberFormat::kFull || precision == data.format) return x;
    return from_half(precision, to_half(precision, x));
  }
  __device__ float load(std::ptrdiff_t at) const { return rounded(data[at]); }
  __device__ Four<float> load_by_four(std::ptrdiff_t at) const {
    Four<float> out;
    if (data.format == NumberFormat::kFull) {
      out = load_four(data.full, at);
    } else {
      const Four<std::uint16_t> halves = load_four(data.half, at);
      for (int j = 0; j < 4; ++j) out.x[j] = from_half(data.format, halves.x[j]);
    }
    for (int j = 0; j < 4; ++j) out.x[j] = rounded(out.x[j]);
    return out;
  }
};

using MixedProduct = TiledProduct<float, MixedOperand, Numbers<float>>;

inline MixedProduct mixed(const ProductCall& call, const TileCut& cut) {
  MixedProduct p{};
  set_sizes(p, call, cut);
  p.a = MixedOperand::of(call.a, call.precision, call.m, call.a.row_stride, call.a.col_stride);
  p.w = MixedOperand::of(call.w, call.precision, call.n, call.w.col_stride, call.w.row_stride);
  p.y = leaves_parts(call, cut) ? Numbers<float>::of(call.scratch, NumberFormat::kFull)
                                : Numbers<float>::of(call.y, call.y_format);
  const void* const y = leaves_parts(call, cut) ? call.scratch : call.y;
  p.y_by_four =
      call.n % 4 == 0 && reinterpret_cast<std::uintptr_t>(y) % (4 * bytes_of(p.y.format)) == 0;
  return p;
}

}  // namespace densa::inline DENSA_ISA
