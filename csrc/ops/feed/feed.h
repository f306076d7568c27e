// Gathers rows of the user's array into a batch: shuffle, cast and scale in one pass.
//
// y[r][c] = x[order[first + r]][c] * scale + offset, as a row-major block or as panels with zero
// padding. A plan fetches the rows of the next batch ahead of time (graph/gather_ahead.h).
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

struct Feed {
  const void* data = nullptr;  // source rows, elements of a row contiguous
  std::ptrdiff_t row_bytes = 0;
  const std::int64_t* order = nullptr;      // row number of each position; null: position itself
  std::int64_t first = 0;                   // position of the batch's row 0
  std::int64_t row_begin = 0, row_end = 0;  // rows of the batch to gather
  std::int64_t cols = 0;
  void* y = nullptr;
  std::ptrdiff_t stride = 0;  // panels: elements from panel to panel; rows: elements per row
  bool panels = false;
  bool affine = false;  // false: scale 1, offset 0
  double scale = 1, offset = 0;
};

// Returns the first gathered row (of the batch) with a number that is not finite in y's type before
// scale and offset, or -1.
using FeedFn = std::int64_t (*)(const Feed&);

inline constexpr int kFeedSources = 11;  // DType order
struct FeedKernels {
  const FeedFn* to_f32;  // one per source dtype
  const FeedFn* to_f64;
};
const FeedKernels& feed_kernels();

}  // namespace densa
