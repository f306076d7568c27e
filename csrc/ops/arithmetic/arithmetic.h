// arithmetic: many small sums, differences, products and quotients in one op, which only plans on a
// GPU have: moving averages, totals of metrics.
//
// Its work is cut into runs, each a few steps on one element after another, whose numbers never
// leave a thread. An operand has as many elements as its run, or one. Attributes:
//   code     three numbers a step: which of kSteps, then two operands: input i, or i - the number
//            of inputs: the result of that step
//   ends     for each run, the step behind its last
//   results  the steps whose results are the op's outputs, in their order
#pragma once
#include "ops/op.h"

namespace densa {

inline constexpr const char* kArithmeticSteps[] = {"add", "subtract", "multiply", "divide"};
// What one launch takes.
inline constexpr std::size_t kMostInputs = 96, kMostSteps = 144, kMostResults = 48, kMostRuns = 48,
                             kMostInRun = 8;

const Op& arithmetic_op();

}  // namespace densa
