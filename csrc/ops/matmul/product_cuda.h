// Products of matrices on a GPU, for the ops that need one: any strides, batches, bias, activation.
//
//   y[i] = f(b + a[i] * w[i])    a (m, k), w (k, n), y (m, n) row-major; i over the batch
//
// Every sum has an order that the sizes alone decide: one chain of multiply-adds in ascending k
// that begins with the bias; or, where too few results would leave a GPU idle, several such chains
// over equal parts of k whose results are added in order.
//
// With 16-bit formats the factors are rounded to `precision` if they are not of it yet, products
// are exact, sums are float32 and begin with a float32 bias; y is rounded once, at the end.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/dtype.h"
#include "base/gpu.h"
#include "base/number_format.h"
#include "base/shape.h"
#include "ops/elementwise/numbered.h"
#include "ops/matmul/matmul_precision.h"
#include "ops/op.h"

namespace densa::inline DENSA_ISA {

struct ProductSizes {
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
};

struct ProductOperand {
  const void* data = nullptr;
  std::ptrdiff_t row_stride = 0, col_stride = 0;
  Dims batch_strides;  // for each dimension of ProductCall::batch; 0 where one matrix serves all
  NumberFormat format = NumberFormat::kFull;
};

struct ProductCall {
  DType dtype = DType::kFloat32;  // or kFloat64
  std::int64_t m = 0, n = 0, k = 0;
  Dims batch;  // its shape
  ProductOperand a, w;
  // Formats other than full: only where dtype is float32.
  NumberFormat precision = NumberFormat::kFull;      // of the factors; full: as they are
  bool factors_fit = false;                          // they are of that precision already
  MatmulPrecision wide = MatmulPrecision::kHighest;  // where all formats and the precision are full
  const void* bias = nullptr;                        // n numbers of dtype, or null
  void* y = nullptr;
  NumberFormat y_format = NumberFormat::kFull;
  Formula formula = Formula::kNone;
  double parameter = 0;
  // What the order of the sums follows: those of the call, or of an equal one that is cut
  // differently.
  ProductSizes sizes;
  void* scratch = nullptr;
  cuda::Stream stream = nullptr;
};

// Follows from dtype, formats, precision, formula and sizes; the rest of the call may be empty.
std::size_t product_scratch_bytes(const ProductCall& call);
// The attributes `matmul_precision`, and `precision` (precision.h) of an op whose operands are
// numbers of it.
inline void set_precision(ProductCall& call, const Attrs& attrs) {
  if (const std::string wide = attrs.get_string(kMatmulPrecision, ""); !wide.empty())
    call.wide = wide == "high" ? MatmulPrecision::kHigh : MatmulPrecision::kMedium;
  const std::string name = attrs.get_string("precision", "");
  if (name.empty()) return;
  call.precision = name == "bfloat16" ? NumberFormat::kBFloat16 : NumberFormat::kFloat16;
  call.factors_fit = true;
}
// The types of a and w: arithmetic is in float32 where one has 16 bits.
inline void set_formats(ProductCall& call, DType a, DType w) {
  call.dtype = is_half(a) ? DType::kFloat32 : a;
  call.a.format = format_of(a);
  call.w.format = format_of(w);
}
// Enough for a y of 16 bits, too, which may be another form's.
inline std::size_t most_scratch_bytes(ProductCall call) {
  const std::size_t bytes = product_scratch_bytes(call);
  if (call.dtype != DType::kFloat32) return bytes;
  call.y_format = NumberFormat::kBFloat16;
  return std::max(bytes, product_scratch_bytes(call));
}
inline std::size_t product_scratch_bytes(DType dtype, const ProductSizes& sizes) {
  ProductCall call;
  call.dtype = dtype;
  call.sizes = sizes;
  return product_scratch_bytes(call);
}
void launch_product(const ProductCall& call);

}  // namespace densa::inline DENSA_ISA
