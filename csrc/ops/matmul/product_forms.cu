// Which form of a product runs, and the sum of the parts into which k was split.
#include "ops/matmul/product_forms.cuh"

namespace densa::inline DENSA_ISA {
namespace {

const ProductForm& form_for(DType) { return kExactProduct; }

template <class T>
__global__ void add_parts(std::int64_t n, std::int64_t splits, Finish<T> finish,
                          Global<const T> parts, Global<T> y) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    T sum = parts[i];
    for (std::int64_t s = 1; s < splits; ++s) sum += parts[s * n + i];
    y[i] = finish(sum);
  }
}

template <class T>
void launch_sum(const ProductCall& call, const TileCut& cut) {
  constexpr std::int64_t kThreads = 64;  // few results: they are spread over many blocks
  const std::int64_t n = element_count(call.batch) * call.m * call.n;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(pieces(n, kThreads), 1 << 14));
  cuda::launch(call.stream, {{blocks}, {kThreads}}, add_parts<T>, n, cut.splits,
               Finish<T>{call.formula, call.parameter}, static_cast<const T*>(call.scratch),
               static_cast<T*>(call.y));
}

}  // namespace

std::size_t product_scratch_bytes(DType dtype, const ProductSizes& sizes) {
  const TileCut cut = form_for(dtype).cut(dtype, sizes);
  if (cut.splits == 1) return 0;
  return static_cast<std::size_t>(cut.splits * sizes.batch * sizes.m * sizes.n) * item_size(dtype);
}

void launch_product(const ProductCall& call) {
  const ProductForm& form = form_for(call.dtype);
  const TileCut cut = form.cut(call.dtype, call.sizes);
  form.launch(call, cut);
  if (cut.splits == 1) return;
  if (call.dtype == DType::kFloat32) {
    launch_sum<float>(call, cut);
  } else {
    launch_sum<double>(call, cut);
  }
}

}  // namespace densa::inline DENSA_ISA
