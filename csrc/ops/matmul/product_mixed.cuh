// Operands and results of products whose numbers may have 16 bits.
#pragma once
#include "ops/matmul/product_forms.cuh"

namespace densa::inline DENSA_ISA {

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
    return as_half(precision, x);
  }
  __device__ float load(std::ptrdiff_t at) const { return rounded(data[at]); }
  __device__ Four<float> load_by_four(std::ptrdiff_t at) const {
    Four<float> out = load_four(data, at);
    const bool fit = precision == NumberFormat::kFull || precision == data.format;
    return fit ? out : from_halves(precision, to_halves(precision, out));
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
