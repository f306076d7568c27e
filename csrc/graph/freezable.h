// Before freezing: what a recorded inference must be, and what makes more of them so.
#pragma once
#include <cstdint>

#include "graph/program.h"

namespace densa {

// Losses, which predictors have no kernels for, become the ops that they are made of; joining very
// many values is done in groups.
void lower_for_net(Program& program);

// The recording of a batch of `rows` rows becomes one of any number of rows: the first axis of its
// inputs, and what follows from it. Sizes in reshapes and the like that are the rows are known by
// what they are the shape of; a constant of `rows` equal rows is one row.
//
// Throws ValueError, naming layer and op, where a row of something would not be a row of the batch.
void free_rows(Program& program, std::int64_t rows);

// Throws ValueError, naming the layer, what it does and a way out, for a program that assigns,
// draws random numbers or mixes the rows of a batch. What no output needs has been removed.
void check_freezable(const Program& program);

}  // namespace densa
