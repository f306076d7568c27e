// slope_sum: the gradient behind an activation and its sum over the rows, for the bias, in one
// pass; an op that only plans on a GPU have.
//
//   dz = dy * f'(y), db = the sum of dz over its rows    fn: f, and its parameter
//   dz = dy * s, db likewise                             without fn
//
// f is one whose slope comes from y, or one of a few whose slope comes from z at no cost.
#pragma once
#include "ops/elementwise/slopes.h"
#include "ops/op.h"

namespace densa {

// y (or z, or s) and dy, both (rows, two or more columns) -> dz, db
const Op& slope_sum_op();

}  // namespace densa
