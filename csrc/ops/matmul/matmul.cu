// matmul on a GPU: matrices are read as they lie, whatever their strides.
#include <utility>

#include "ops/backend.h"
#include "ops/matmul/product_cuda.h"

namespace densa::inline DENSA_ISA {
namespace {

struct Shapes {
  bool transpose_a, transpose_b;
  std::int64_t m, k, n;
  Dims batch;
  bool joined;  // b is one matrix: the batch of a joins the rows

  Shapes(const Dims& a, const Dims& b, const Attrs& attrs)
      : transpose_a(attrs.get_bool("transpose_a", false)),
        transpose_b(attrs.get_bool("transpose_b", false)) {
    const int i = a.rank() - 2, j = b.rank() - 2;
    m = a[transpose_a ? i + 1 : i];
    k = a[transpose_a ? i : i + 1];
    n = b[transpose_b ? j : j + 1];
    const Dims a_batch = batch_of(a), b_batch = batch_of(b);
    batch = broadcast_shapes(a_batch, b_batch, "matmul");
    joined = !transpose_a && element_count(b_batch) == 1 &&
             element_count(a_batch) == element_count(batch);
  }
  static Dims batch_of(const Dims& shape) {
    return Dims(std::span(shape.begin(), static_cast<std::size_t>(shape.rank() - 2)));
  }
  // By shapes alone, so that strides do not change the order of a sum.
  ProductSizes sizes() const {
    const std::int64_t count = element_count(batch);
    return joined ? ProductSizes{m * count, n, k, 1} : ProductSizes{m, n, k, count};
  }
};

// True if one stride leads through the rows of every matrix of a (..., m, k) in turn: `stride`.
bool rows_run_on(const View& a, std::ptrdiff_t& stride) {
  std::ptrdiff_t next = 0;
  bool first = true;
  for (int i = a.shape.rank() - 2; i >= 0; --i) {
    if (a.shape[i] == 1) continue;
    if (first) stride = a.strides[i];
    if (!first && a.strides[i] != next) return false;
    next = a.strides[i] * a.shape[i];
    first = false;
  }
  return true;
}

ProductOperand operand(const View& v, bool transposed, const Dims& batch) {
  const int last = v.shape.rank() - 1;
  ProductOperand out{v.data, v.strides[last - 1], v.strides[last], batch};
  if (transposed) std::swap(out.row_stride, out.col_stride);
  const int skipped = batch.rank() - (v.shape.rank() - 2);
  for (int i = 0; i < batch.rank(); ++i)
    out.batch_strides[i] = i < skipped || v.shape[i - skipped] == 1 ? 0 : v.strides[i - skipped];
  return out;
}

std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs& attrs) {
  ProductCall product;
  set_formats(product, in[0].dtype, in[1].dtype);
  product.sizes = Shapes(in[0].shape, in[1].shape, attrs).sizes();
  set_precision(product, attrs);
  return most_scratch_bytes(product);
}

void eval(const DeviceCall& call) {
  const View &a = call.in[0], &b = call.in[1];
  const Shapes shapes(a.shape, b.shape, call.attrs);
  ProductCall product;
  product.m = shapes.m;
  product.n = shapes.n;
  product.k = shapes.k;
  product.batch = shapes.batch;
  product.a = operand(a, shapes.transpose_a, shapes.batch);
  product.w = operand(b, shapes.transpose_b, shapes.batch);
  product.y = call.out[0].data;
  product.y_format = format_of(call.out[0].dtype);
  set_formats(product, a.dtype, b.dtype);
  product.sizes = shapes.sizes();
  set_precision(product, call.attrs);
  product.scratch = call.scratch;
  product.stream = call.stream;
  if (std::ptrdiff_t stride = product.a.row_stride; shapes.joined && rows_run_on(a, stride)) {
    product.m = product.sizes.m;
    product.batch = product.a.batch_strides = product.w.batch_strides = Dims{};
    product.a.row_stride = stride;
  }
  launch_product(product);
}

constexpr DeviceOp kOps[] = {
    {.name = "matmul",
     .eval = eval,
     .scratch_bytes = scratch_bytes,
     .any_strides = true,
     .half_in = 3,
     .half_out = 1,
     .multiplies = true},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> matmul() { return kOps; }

}  // namespace densa::cuda_ops
