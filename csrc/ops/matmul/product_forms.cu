// Which form of a product runs, and the sum of the parts into which k was split.
#include <array>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "ops/matmul/product_mixed.cuh"

namespace densa::inline DENSA_ISA {
namespace {

struct Choice {
  const ProductForm& form;
  int least_major;       // compute capability
  bool only_90 = false;  // code for sm_90a runs on 9.0 alone
};

// The portable form comes first: it is what runs unless another one is asked for. Those of tensor
// cores have passed their tests in the emulation only. kChoices are numbered by MatmulPrecision;
// a variable of the environment names one of kMixedChoices.
constexpr Choice kChoices[] = {{kExactProduct, 0}, {kTf32x3Product, 8}, {kTf32Product, 8}};
constexpr Choice kMixedChoices[] = {{kMixedProduct, 0}, {kMmaProduct, 8}, {kWgmmaProduct, 9, true}};

#if defined(DENSA_CUDA_CODE)
constexpr bool kHas90a = std::string_view(DENSA_CUDA_CODE).find("90a") != std::string_view::npos;
#else
constexpr bool kHas90a = true;
#endif

// Throws ValueError, beginning with `who`, where a GPU cannot run the form.
void check_capability(const Choice& one, const std::string& who, const char* instead) {
  std::string why_none;
  for (int i = 0; i < cuda::count_devices(&why_none); ++i) {
    const cuda::DeviceFacts facts = cuda::facts(i);
    const bool is_90 = facts.major == 9 && facts.minor == 0;
    if (facts.major < one.least_major || (one.only_90 && !is_90))
      throw ValueError(cat(who, " needs compute capability ", one.least_major, ".0",
                           one.only_90 ? " and no other" : "", "; GPU ", i, " (", facts.name,
                           ") has ", facts.major, '.', facts.minor, ". Use ", instead));
  }
}

// The number of the choice.
std::size_t asked_for(const char* variable, std::span<const Choice> choices) {
  const char* const text = std::getenv(variable);
  const std::string_view name = text == nullptr ? "" : text;
  if (name.empty()) return 0;
  std::string known;
  for (std::size_t at = 0; at < choices.size(); ++at) {
    const Choice& one = choices[at];
    known += cat(known.empty() ? "" : ", ", one.form.name);
    if (name != one.form.name) continue;
    if (one.only_90 && !kHas90a)
      throw ValueError(cat(variable, '=', name,
                           " needs machine code for 90a, which this build of densa lacks. Build it "
                           "with -C cmake.define.DENSA_CUDA_ARCHITECTURES=90a, or use exact"));
    check_capability(one, cat(variable, '=', name), "exact");
    return at;
  }
  throw ValueError(cat(variable, " is '", name, "'; known are ", known));
}

std::size_t asked_for(MatmulPrecision precision) {
  static std::array<std::atomic<bool>, std::size(kChoices)> can_run{};
  const auto at = static_cast<std::size_t>(precision);
  if (!can_run[at].load(std::memory_order_relaxed)) {
    check_capability(kChoices[at],
                     cat("the matmul_precision \"", name_of(precision),
                         "\" (DENSA_CUDA_MATMUL=", kChoices[at].form.name, ')'),
                     "\"highest\" (exact)");
    can_run[at].store(true, std::memory_order_relaxed);
  }
  return at;
}

// The form that was asked for, or the nearest before it that takes the product; null if that is the
// first one.
const ProductForm* chosen(std::size_t asked, std::span<const Choice> choices,
                          const ProductCall& call) {
  for (std::size_t at = asked; at > 0; --at)
    if (choices[at].form.takes(call.dtype, call.sizes)) return &choices[at].form;
  return nullptr;
}

const ProductForm& exact_form(DType dtype, const ProductSizes& sizes) {
  return kRowsProduct.takes(dtype, sizes) ? kRowsProduct : kExactProduct;
}

// By numbers and sizes alone: neither strides nor alignment change the order of a sum.
const ProductForm& form_for(const ProductCall& call) {
  if (is_mixed(call)) {
    static const std::size_t asked = asked_for("DENSA_CUDA_MATMUL_16BIT", kMixedChoices);
    if (call.precision != NumberFormat::kFull)
      if (const ProductForm* form = chosen(asked, kMixedChoices, call)) return *form;
    // Factors that need no rounding give the bits of the float32 product, wherever they lie.
    const bool fit = call.precision == NumberFormat::kFull || call.factors_fit;
    if (fit && kRowsProduct.takes(call.dtype, call.sizes)) return kRowsProduct;
    return fit && !has_halves(call) ? kExactProduct : kMixedProduct;
  }
  const std::size_t asked = asked_for(call.wide);
  const ProductForm* const form = chosen(asked, kChoices, call);
  return form != nullptr ? *form : exact_form(call.dtype, call.sizes);
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
  const ProductForm& form = form_for(call);
  return scratch_bytes(form, call, form.cut(call.dtype, call.sizes));
}

void launch_product(const ProductCall& call) {
  const ProductForm& form = form_for(call);
  const TileCut cut = form.cut(call.dtype, call.sizes);
  form.launch(call, cut);
  finish(call, cut);
}

}  // namespace densa::inline DENSA_ISA
