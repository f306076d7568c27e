// Which axes of x are channels.
#pragma once
#include <algorithm>

#include "ops/op.h"

namespace densa {

// Ascending.
inline Ints channel_axes(const Attrs& attrs, int rank) {
  Ints axes;
  for (std::int64_t axis : attrs.get_ints("axis", {-1}))
    axes.push_back(normalize_axis(axis, rank, "batch_norm"));
  std::sort(axes.begin(), axes.end());
  return axes;
}

inline bool is_channel(const Ints& axes, int axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

}  // namespace densa
