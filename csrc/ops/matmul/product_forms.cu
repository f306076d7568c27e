// Which form of a product runs, and the sum of the parts into which k was split.
#include <cstdlib>
#include <string>
#include <string_view>

#include "ops/matmul/product_forms.cuh"

namespace densa::inline DENSA_ISA {
namespace {

// The portable form comes first: it is what runs unless another one is asked for. Those of tensor
// cores have passed their tests in the emulation only.
struct Choice {
  const ProductForm& form;
  int least_major;  // compute capability
};
constexpr Choice kChoices[] = {{kExactProduct, 0}, {kTf32x3Product, 8}, {kTf32Product, 8}};

const ProductForm& asked_for() {
  const char* const text = std::getenv("DENSA_CUDA_MATMUL");
  const std::string_view name = text == nullptr ? "" : text;
  if (name.empty()) return kChoices[0].form;
  std::string known;
  for (const Choice& one : kChoices) {
    known += cat(known.empty() ? "" : ", ", one.form.name);
    if (name != one.form.name) continue;
    std::string why_none;
    for (int i = 0; i < cuda::count_devices(&why_none); ++i)
      if (const cuda::DeviceFacts facts = cuda::facts(i); facts.major < one.least_major)
        throw ValueError(cat("DENSA_CUDA_MATMUL=", name, " needs compute capability ",
                             one.least_major, ".0; GPU ", i, " (", facts.name, ") has ",
                             facts.major, '.', facts.minor, ". Use exact"));
    return one.form;
  }
  throw ValueError(cat("DENSA_CUDA_MATMUL is '", name, "'; known are ", known));
}

const ProductForm& form_for(DType dtype, const ProductSizes& sizes) {
  static const ProductForm& asked = asked_for();
  if (&asked != &kExactProduct && asked.takes(dtype, sizes)) return asked;
  return kRowsProduct.takes(dtype, sizes) ? kRowsProduct : kExactProduct;
}

// y = f(sum of the parts); `parts` may be y itself if there is one.
template <class T>
__global__ void finish_results(std::int64_t n, std::int64_t splits, Formula formula,
                               double parameter, Global<const T> parts, Global<T> y) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    T sum = parts[i];
    for (std::int64_t s = 1; s < splits; ++s) sum += parts[s * n + i];
    y[i] = any_formula(formula, parameter, sum);
  }
}

template <class T>
void finish(const ProductCall& call, const TileCut& cut) {
  if (cut.splits == 1 && Finish<T>::takes(call.formula)) return;
  constexpr std::int64_t kThreads = 64;  // few results: they are spread over many blocks
  const std::int64_t n = element_count(call.batch) * call.m * call.n;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(pieces(n, kThreads), 1 << 14));
  const void* const parts = cut.splits == 1 ? call.y : call.scratch;
  cuda::launch(call.stream, {{blocks}, {kThreads}}, finish_results<T>, n, cut.splits, call.formula,
               call.parameter, static_cast<const T*>(parts), static_cast<T*>(call.y));
}

}  // namespace

std::size_t product_scratch_bytes(DType dtype, const ProductSizes& sizes) {
  const TileCut cut = form_for(dtype, sizes).cut(dtype, sizes);
  if (cut.splits == 1) return 0;
  return static_cast<std::size_t>(cut.splits * sizes.batch * sizes.m * sizes.n) * item_size(dtype);
}

void launch_product(const ProductCall& call) {
  const ProductForm& form = form_for(call.dtype, call.sizes);
  const TileCut cut = form.cut(call.dtype, call.sizes);
  form.launch(call, cut);
  if (call.dtype == DType::kFloat32) {
    finish<float>(call, cut);
  } else {
    finish<double>(call, cut);
  }
}

}  // namespace densa::inline DENSA_ISA
