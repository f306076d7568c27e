// Which ops may make values of 16 bits.
#pragma once
#include <span>

#include "ops/op.h"

namespace densa {

// Throws TypeError naming the op if it would write values of 16 bits: only the cast's kernels do,
// those of all others would write past the end of memory of that size.
void check_writes(const Op& op, std::span<const TypeInfo> out);

}  // namespace densa
