// The shape folder: ops that move elements without computing, and their rules for unknown rows.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ops/op.h"

namespace densa::shape {

// slice's `end` for "up to the last one", whatever the size is.
inline constexpr std::int64_t kToEnd = INT64_MAX;

// Throws NeedsRows when a result has unknown rows anywhere but in axis 0.
void check_rows(const Dims& shape, std::string_view op);

std::vector<Op> whole_ops();  // reshape transpose broadcast_to row_count concatenate
std::vector<Op> part_ops();   // slice pad_slice

}  // namespace densa::shape

namespace densa::ops {

std::span<const Op> shape();

}  // namespace densa::ops
