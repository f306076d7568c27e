// The kernel of affine_transform: rows of the output, sampled.
#pragma once
#include <cstdint>

#include "ops/affine_transform/formula.h"

namespace densa {

// Rows [begin, end) of the output; all images' rows are counted through.
template <class T>
struct AffineRows {
  AffineCall call;
  bool bilinear = true;
  const T* transforms = nullptr;  // (images, 6)
  const T* x = nullptr;
  T* y = nullptr;
  std::int64_t begin = 0, end = 0;
  // Samples any row, one number after the other. The kernel calls it for rows that lie further away
  // than a whole image, images whose numbers a lane cannot count, and pixels of many numbers.
  void (*plain)(const AffineRows& rows, std::int64_t row) = nullptr;
};

struct AffineKernels {
  void (*f32)(const AffineRows<float>&);
  void (*f64)(const AffineRows<double>&);
};

}  // namespace densa
