// The table of optimizer kernels of one CPU level.
#pragma once
#include "ops/optimizer/optimizer.h"

namespace densa {

inline constexpr int kOptimizerCount = 0
#define DENSA_OPTIMIZER(name, Formula, ...) +1
#include "ops/optimizer/list.inc"
#undef DENSA_OPTIMIZER
    ;

struct OptimizerTable {
  OptimizerKernel kernels[kOptimizerCount];
  double (*squares_f32)(const float* g, std::ptrdiff_t n);
  double (*squares_f64)(const double* g, std::ptrdiff_t n);
};

}  // namespace densa
