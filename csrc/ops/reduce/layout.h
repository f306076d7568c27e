// How a reduction over any axes becomes one over rows or columns of matrices.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "ops/reduce/axes.h"

namespace densa::reduce {

// x (row-major, shape given) as [outer][reduced][inner]; if the reduced axes do not lie together,
// x must first be copied to kept axes, then reduced axes (`permute`), and inner is 1.
struct Layout {
  std::int64_t outer = 1, reduced = 1, inner = 1;
  bool permute = false;
  std::array<bool, kMaxRank> is_reduced{};
  Dims moved_shape, moved_strides;  // of x in the order of the copy
};

Dims result_shape(const Dims& shape, const std::array<bool, kMaxRank>& reduced, bool keepdims);
Layout layout_of(const Dims& shape, const std::array<bool, kMaxRank>& reduced);

// Copies x into `to` in the order that `layout` asks for; item is the size of an element.
void move_axes(const View& x, const Layout& layout, void* to);

}  // namespace densa::reduce
