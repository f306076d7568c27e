// From a Net to steps on places.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "predict/net.h"
#include "predict/step.h"

namespace densa::predict {

struct Lowered {
  std::vector<std::unique_ptr<Step>> steps;
  std::size_t row_scratch = 0;  // bytes of all buffers for one row of a block
};

// `net` must have passed check_net and stay where it is.
Lowered lower(const Net& net);

// Whether threads that share out panels must wait for each other between two steps.
bool must_wait(const Step& before, const Step& next);

}  // namespace densa::predict
