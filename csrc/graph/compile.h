// The order of the passes.
#pragma once
#include <string>
#include <vector>

#include "graph/any_plan.h"
#include "graph/program.h"

namespace densa {

// Simplifies a recorded program and, with an optimizer, adds the gradient of output `loss` and an
// update of every target that it reaches. Outputs that are not in `collect` disappear.
Program compile_program(Program program, const std::string& loss,
                        const std::vector<std::string>& collect, const OptimizerPlan* optimizer);

}  // namespace densa
