// Passes that only plans on a GPU take, where each op is a launch.
#pragma once
#include <memory>

#include "graph/program.h"

namespace densa {

// An activation that alone reads a dense op's result becomes a part of it.
void fuse_activations(Program& program);
// Chains of layers of at most kWidestLayer columns (dense, batch norm with given statistics,
// activations) become one op each (ops/network). For programs without gradients.
void fuse_networks(Program& program);

// 16-bit values lie in 16 bits where their readers take them, the ops before them round them, and
// variables are rounded in one launch. `rows`: at most, of a batch. DENSA_GPU_WIDE_VALUES=1, for
// tests: they stay float32. Either way a rounding that takes a launch of its own where values have
// 16 bits has the attribute "apart".
void store_halves(Program& program, std::int64_t rows);
// dy through an activation, and the sum over its rows that a bias wants, become one op
// (ops/slope_sum).
void fuse_bias_gradients(Program& program);
// Sums, differences, products and quotients of few numbers at the end of a step, which nothing but
// assignments reads, become one op (ops/arithmetic) behind all others.
void gather_arithmetic(Program& program);
// The variable that output `value` of such a node may be written into at once: nothing reads it
// behind that; null where there is none. A plan must know that no op of its step can fail.
std::shared_ptr<Variable> assigned_in_place(const Program& program, const ProgramNode& node,
                                            int value);

// What happens to each row of a batch apart, forward, backward and in the loss, in layers of at
// most kWidestLayer columns, and its sums over rows become one op (ops/network/row_program.h),
// where that costs less than the launches it saves at that many rows.
void fuse_rows(Program& program, std::int64_t rows);

// All that help a plan for up to `rows` rows. `trains`: the program updates variables by gradients.
void fuse_for_gpu(Program& program, bool trains, std::int64_t rows);

}  // namespace densa
