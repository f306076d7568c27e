// The one Backend of this module.
#pragma once
#include "ops/backend.h"

namespace densa::cuda {

Backend& cuda_backend();

}  // namespace densa::cuda
