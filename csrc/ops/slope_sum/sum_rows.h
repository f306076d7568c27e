// The sum over the rows of a float32 matrix, both of which may lie in 16 bits, with the bits of
// `sum` on a GPU: of in[0], two or more columns, to out[0].
#pragma once
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {

void sum_rows(const DeviceCall& call);

}  // namespace densa::inline DENSA_ISA
