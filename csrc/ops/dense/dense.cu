// dense on a GPU: one product whose results leave with their bias and activation.
#include <string>

#include "ops/backend.h"
#include "ops/matmul/product_cuda.h"

namespace densa::inline DENSA_ISA {
namespace {

ProductSizes sizes_of(const Dims& x, const Dims& w) {
  std::int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x[i];
  return {rows, w[1], w[0], 1};
}

// infer has checked the name.
void set_activation(ProductCall& product, const Attrs& attrs) {
  const std::string name = attrs.get_string("activation", "");
  for (int i = 0; const NumberedFormula& one : kNumberedFormulas) {
    if (name == one.name) {
      product.formula = static_cast<Formula>(i);
      if (one.attribute != nullptr)
        product.parameter = attrs.get_double(one.attribute, one.missing);
      return;
    }
    ++i;
  }
}

std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs& attrs) {
  ProductCall product;
  set_formats(product, in[0].dtype, in[1].dtype);
  product.sizes = sizes_of(in[0].shape, in[1].shape);
  set_precision(product, attrs);
  set_activation(product, attrs);
  return most_scratch_bytes(product);
}

void eval(const DeviceCall& call) {
  const View &x = call.in[0], &w = call.in[1];
  ProductCall product;
  product.sizes = sizes_of(x.shape, w.shape);
  product.m = product.sizes.m;
  product.n = product.sizes.n;
  product.k = product.sizes.k;
  product.a = {x.data, product.k, 1, {}};
  product.w = {w.data, product.n, 1, {}};
  if (call.in.size() == 3) product.bias = call.in[2].data;
  product.y = call.out[0].data;
  product.y_format = format_of(call.out[0].dtype);
  set_formats(product, x.dtype, w.dtype);
  product.scratch = call.scratch;
  product.stream = call.stream;
  set_precision(product, call.attrs);
  set_activation(product, call.attrs);
  launch_product(product);
}

constexpr DeviceOp kOps[] = {
    {.name = "dense",
     .eval = eval,
     .scratch_bytes = scratch_bytes,
     .half_in = 3,
     .half_out = 1,
     .multiplies = true},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> dense() { return kOps; }

}  // namespace densa::cuda_ops
