// From a recorded inference to a frozen network.
#pragma once
#include "graph/program.h"
#include "predict/net.h"

namespace densa {

// `program` has been through fuse_feed; it reads inputs and constants, and variables, whose present
// values become constants. Throws ValueError for an op that mixes the rows of a batch or draws
// random numbers, and for a program that assigns. A product has the name of its weights.
Net to_net(const Program& program);

}  // namespace densa
