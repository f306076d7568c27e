// Which form of a product runs, and the sum of the parts into which k was split.
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "ops/matmul/product_mixed.cuh"

namespace densa::inline DENSA_ISA {
namespace {

struct Choice {
  const ProductForm& form;
  int least_major;  // compute capability
};

// A variable of the environment, and the forms that it names. The portable form comes first: it is
// what runs unless another one is asked for. Those of tensor cores have passed their tests in the
// emulation only.
constexpr Choice kChoices[] = {{kExactProduct, 0}, {kTf32x3Product, 8}, {kTf32Product, 8}};
constexpr Choice kMixedChoices[] = {{kMixedProduct, 0}, {kMmaProduct, 8}};

const ProductForm& asked_for(const char* variable, std::span<const Choice> choices) {
  const char* const text = std::getenv(variable);
  const std::string_view name = text == nullptr ? "" : text;
  if (name.empty()) return choices[0].form;
  std::string known;
  for (const Choice& one : choices) {
    known += cat(known.empty() ? "" : ", ", one.form.name);
    if (name != one.form.name) continue;
    std::string why_none;
    for (int i = 0; i < cuda::count_devices(&why_none); ++i)
      if (const cuda::DeviceFacts facts = cuda::facts(i); facts.major < one.least_major)
        throw ValueError(cat(variable, '=', name, " needs compute capability ", one.least_major,
                             ".0; GPU ", i, " (", facts.name, ") has ", facts.major, '.',
                             facts.minor, ". Use exact"));
    return one.form;
  }
  throw ValueError(cat(variable, " is '", name, "'; known are ", known));
}

const ProductForm& exact_form(DType dtype, const ProductSizes& sizes) {
  return kRowsProduct.takes(dtype, sizes) ? kRowsProduct : kExactProduct;
}

// By numbers and sizes alone: neither strides nor alignment change the order of a sum.
const ProductForm& form_for(const ProductCall& call) {
  if (is_mixed(call)) {
    static const ProductForm& asked = asked_for("DENSA_CUDA_MATMUL_16BIT", kMixedChoices);
    if (&asked != &kMixedProduct && call.precision != NumberFormat::kFull &&
        asked.takes(call.dtype, call.sizes))
      return asked;
    // Factors that need no rounding give the bits of the float32 product, wherever they lie.
    const bool fit = call.precision == NumberFormat::kFull || call.factors_fit;
    if (fit && kRowsProduct.takes(call.dtype, call.sizes)) return kRowsProduct;
    return fit && !has_halves(call) ? kExactProduct : kMixedProduct;
  }
  static const ProductForm& asked = asked_for("DENSA_CUDA_MATMUL", kChoices);
  const bool fits = &asked != &kExactProduct && asked.takes(call.dtype, call.sizes);
  return fits ? asked : exact_form(call.dtype, call.sizes);
}

// y = f(sum of the parts); `parts` may be y itself if there is one.
template <class T, class Result>
__global__ void finish_results(std::int64_t n, std::int64_t splits, Formula formula,
                               double parameter, Global<const T> parts, Result y) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    T sum = parts[i];
    for (std::int64_t s = 1; s < splits; ++s) sum += parts[s * n + i];
    put(y, i, any_formula(formula, parameter, sum));
  }
}

template <class T, class Result>
void finish(const ProductCall& call, const TileCut& cut, const Result& y) {
  if (!leaves_parts(call, cut) && Finish<T>::takes(call.formula)) return;
  constexpr std::int64_t kThreads = 64;  // few results: they are spread over many blocks
  const std::int64_t n = element_count(call.batch) * call.m * call.n;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(pieces(n, kThreads), 1 << 14));
  const void* const parts = leaves_parts(call, cut) ? call.scratch : call.y;
  cuda::launch(call.stream, {{blocks}, {kThreads}}, finish_results<T, Result>, n, cut.splits,
               call.formula, call.parameter, static_cast<const T*>(parts), y);
}

void finish(const ProductCall& call, const TileCut& cut) {
  if (call.y_format != NumberFormat::kFull) {
    finish<float>(call, cut, Numbers<float>::of(call.y, call.y_format));
  } else if (call.dtype == DType::kFloat32) {
    finish<float>(call, cut, Global<float>(static_cast<float*>(call.y)));
  } else {
    finish<double>(call, cut, Global<double>(static_cast<double*>(call.y)));
  }
}

}  // namespace

std::size_t product_scratch_bytes(const ProductCall& call) {
  const TileCut cut = form_for(call).cut(call.dtype, call.sizes);
  if (!leaves_parts(call, cut)) return 0;
  const ProductSizes& sizes = call.sizes;
  return static_cast<std::size_t>(cut.splits * sizes.batch * sizes.m * sizes.n) *
         item_size(call.dtype);
}

void launch_product(const ProductCall& call) {
  const ProductForm& form = form_for(call);
  const TileCut cut = form.cut(call.dtype, call.sizes);
  form.launch(call, cut);
  finish(call, cut);
}

}  // namespace densa::inline DENSA_ISA
