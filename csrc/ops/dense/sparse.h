// Products with block-sparse weights, for inference: x, w and y in float32, x and y in panels.
//
// A block is a row of a panel of w, 16 numbers. Only blocks that hold a number other than zero are
// kept, panel after panel, each panel's in ascending k.
//
// Every output is one chain of multiply-adds in ascending k, as in dense.h, over the blocks that
// are there. So for finite x the result is that of the dense product: zeros that are left out
// change no sum, but for the sign of one that is zero (where b is -0, or a sum of negative products
// vanishes under the smallest float). A number of x that is not finite reaches only the panels that
// have a block for it; 0 * x would have made NaN of all others.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

// y's panels [first_panel, last_panel) of all rows; y's padding columns become b's. A row of y
// depends on the same row of x alone, and never on how calls are cut.
struct SparseForward {
  Panels<const float> x;                  // only columns that have a block are read
  const float* w = nullptr;               // the blocks, aligned to 64 bytes
  const std::uint32_t* starts = nullptr;  // the first block of each panel, and their number
  const std::uint32_t* index = nullptr;   // k of each block
  const float* b = nullptr;               // null: zeros
  Panels<float> y;
  std::int64_t rows = 0;
  std::int64_t first_panel = 0, last_panel = 0;
};

struct SparseKernels {
  void (*forward)(const SparseForward&);
};
const SparseKernels& sparse_kernels();  // of this machine's level

}  // namespace densa
