// Passes that only plans on a GPU take, where each op is a launch.
#pragma once
#include "graph/program.h"

namespace densa {

// An activation that alone reads a dense op's result becomes a part of it.
void fuse_activations(Program& program);
// All that help.
void fuse_for_gpu(Program& program);

}  // namespace densa
