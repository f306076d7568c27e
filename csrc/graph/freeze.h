// Freezing: a recorded inference becomes a program of constants that computes the same with less.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "graph/program.h"

namespace densa {

struct FreezeOptions {
  DType dtype = DType::kFloat32;  // of what is computed: kFloat32 or kFloat64
  bool fold = true, merge = true, prune = true;
  // What is neither folded nor merged, by the name that the report has for it ("norm/mean",
  // "dense/kernel and dense_1/kernel"), and why, for `kept`.
  std::map<std::string, std::string> keep;
};

// One line each, for people, with the names of variables ("dense_1/kernel").
struct FreezeReport {
  std::vector<std::string> folded, merged, removed, kept;
};

// The same outputs of the same inputs, from constants alone: variables stand for their present
// values, assignments and updates are gone.
//
// In the result, constants are CPU tensors, row-major, floating ones of `options.dtype` (a constant
// that was a variable keeps its name); `dense` has no activation and no precision; every input that
// is read has a `feed`, which also casts and scales it. Rows must be the first axis of what is
// folded.
//
// All arithmetic on constants is done in float64. Numbers differ from the recording's by rounding
// only, with two exceptions: roundings to 16 bits are left out unless the casts have the attribute
// `asked`, and where a unit was removed, a NaN or infinity that would have come through it does not
// come.
//
// Throws ValueError for another dtype and for float16 or bfloat16 inputs.
Program freeze(Program program, const FreezeOptions& options, FreezeReport* report = nullptr);

}  // namespace densa
