// round_all: numbers of many arrays rounded to 16 bits in one launch, an op that only plans on a
// GPU have: what a step's products make of its variables.
//
//   y[i] = x[i] rounded to `format`, to nearest, halves to even    format: "bfloat16" or "float16"
//
// Where a y lies in float32 it holds the rounded number.
#pragma once
#include "ops/op.h"

namespace densa {

inline constexpr int kMostRounded = 32;  // arrays of one op

const Op& round_all_op();

}  // namespace densa
