#include "ops/matmul/matmul_precision.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <iterator>

#include "base/error.h"

namespace densa {
namespace {

constexpr std::array<std::string_view, 3> kForms = {"exact", "tf32x3", "tf32"};

constexpr int kNotSet = -1;
std::atomic<int> current{kNotSet};

MatmulPrecision of_environment() {
  const char* const text = std::getenv("DENSA_CUDA_MATMUL");
  const std::string_view form = text == nullptr ? "" : text;
  if (form.empty()) return MatmulPrecision::kHighest;
  for (std::size_t i = 0; i < kForms.size(); ++i)
    if (form == kForms[i]) return static_cast<MatmulPrecision>(i);
  throw ValueError(cat("DENSA_CUDA_MATMUL is '", form, "'; known are exact, tf32x3, tf32"));
}

}  // namespace

MatmulPrecision matmul_precision() {
  const int set = current.load(std::memory_order_relaxed);
  if (set != kNotSet) return static_cast<MatmulPrecision>(set);
  static const MatmulPrecision otherwise = of_environment();
  return otherwise;
}

void set_matmul_precision(MatmulPrecision precision) {
  current.store(static_cast<int>(precision), std::memory_order_relaxed);
}

MatmulPrecision matmul_precision_from_name(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kMatmulPrecisions); ++i)
    if (name == kMatmulPrecisions[i]) return static_cast<MatmulPrecision>(i);
  throw ValueError(
      cat("matmul_precision must be \"highest\", \"high\" or \"medium\"; got \"", name, '"'));
}

Attrs with_matmul_precision(const Attrs& attrs, MatmulPrecision precision) {
  Attrs out = attrs;
  if (precision != MatmulPrecision::kHighest)
    out.set(kMatmulPrecision, std::string(name_of(precision)));
  return out;
}

}  // namespace densa
