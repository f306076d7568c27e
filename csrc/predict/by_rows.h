// What a frozen network may hold: ops that give a row of their results from the same row of their
// inputs alone.
#pragma once
#include <span>
#include <string>

#include "ops/op.h"

namespace densa {

// Whether the first axis are the rows of a batch.
bool has_rows(const Dims& shape);

// Why an op does not work row by row on values of these types, as the end of a sentence ("mixes the
// rows of the batch"); empty if it does. What has no rows in its first axis is a constant.
std::string not_by_rows(const Op& op, const Attrs& attrs, std::span<const TypeInfo> in,
                        std::span<const TypeInfo> out);

}  // namespace densa
