// One eager optimizer step on variables and slots where they lie. Plans have their own update
// stages (graph/stages_update.h) over the same kernels.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/optimizer/step_maker.h"
#include "tensor/variable.h"

namespace densa {

struct StepTarget {
  std::shared_ptr<Variable> variable;
  Value gradient;  // null: the variable is left as it is
  std::vector<std::shared_ptr<Variable>> slots;
  bool decay = true;
};

// The largest norm of one gradient, or of all together; 0: no limit.
struct NormLimits {
  double each = 0, all = 0;
};

// Steps every target that has a gradient, on any device; padding stays zero and versions are
// bumped. Throws before anything changes: TypeError for a variable that is not floating, ShapeError
// for a gradient of another type than its variable, ValueError for slots that do not fit and for a
// common norm over several devices. The bits do not depend on the number of threads.
void optimizer_step(StepMaker& maker, std::span<const StepTarget> targets, std::int64_t iteration,
                    double rate, const NormLimits& limits);

}  // namespace densa
