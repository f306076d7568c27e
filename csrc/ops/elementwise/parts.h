// The three lists of ops that make up the elementwise folder.
#pragma once
#include <vector>

#include "ops/op.h"

namespace densa::elementwise {

std::vector<Op> unary_ops();
std::vector<Op> binary_ops();
std::vector<Op> plain_ops();  // comparisons, logic, tests: any dtype; mod, arctan2

}  // namespace densa::elementwise

namespace densa::ops {

std::span<const Op> elementwise();

}  // namespace densa::ops
