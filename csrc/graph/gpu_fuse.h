// Passes that only plans on a GPU take, where each op is a launch.
#pragma once
#include "graph/program.h"

namespace densa {

// An activation that alone reads a dense op's result becomes a part of it.
void fuse_activations(Program& program);
// Chains of layers of at most kWidestLayer columns (dense, batch norm with given statistics,
// activations) become one op each (ops/network). For programs without gradients.
void fuse_networks(Program& program);

// All that help. `trains`: the program updates variables by gradients.
void fuse_for_gpu(Program& program, bool trains);

}  // namespace densa
