// The lists of ops that make up the reduce folder.
#pragma once
#include <array>
#include <vector>

#include "ops/op.h"
#include "ops/reduce/plain.h"

namespace densa::reduce {

std::vector<Op> float_ops();  // sum mean max min prod var logsumexp sum_to, integers where they fit
std::vector<Op> plain_ops();  // any all argmax argmin

// Integer and bool reductions: plain loops in index order.
template <Plain kKind>
void plain_reduce(const View& x, const View& y, const std::array<bool, kMaxRank>& reduced,
                  void* scratch);

}  // namespace densa::reduce

namespace densa::ops {

std::span<const Op> reduce();

}  // namespace densa::ops
