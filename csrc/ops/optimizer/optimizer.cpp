// Which CPU level's optimizer kernels this process runs, by name.
#include <string>

#include "base/error.h"
#include "ops/optimizer/parts.h"
#include "ops/optimizer/step_maker.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(OptimizerTable, optimizer_table)

const OptimizerKernel& find_optimizer_kernel(std::string_view name) {
  const OptimizerTable& table = *pick_optimizer_table();
  std::string known;
  for (const OptimizerKernel& kernel : table.kernels) {
    if (kernel.name == name) return kernel;
    known += cat(known.empty() ? "" : ", ", kernel.name);
  }
  throw ValueError(cat("unknown optimizer kernel '", name, "'; known: ", known));
}

double sum_squares(const float* g, std::ptrdiff_t n) {
  return pick_optimizer_table()->squares_f32(g, n);
}
double sum_squares(const double* g, std::ptrdiff_t n) {
  return pick_optimizer_table()->squares_f64(g, n);
}

}  // namespace densa
