// Softmax cross-entropy over panels: loss and gradient in one pass.
//
// Blocks of 16 rows are transposed so that lanes are rows: the sums over classes are then plain
// vector code, in ascending class order, and a row's result depends on that row alone.
//   loss_r = log sum_c exp(z_rc) - sum_c t_rc z_rc,   dz_rc = dy_r (softmax(z_r)_c - t_rc)
// with targets t given as class numbers or as a matrix (label smoothing applied to it).
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

template <class T>
struct SoftmaxLoss {
  Panels<const T> z;
  std::int64_t classes = 0;
  std::int64_t row_begin = 0, row_end = 0;  // row_begin is a multiple of 16
  // Targets: class numbers (4 or 8 bytes wide, or 1), or panels t.
  const void* labels = nullptr;
  int label_bytes = 8;
  bool label_signed = true;
  Panels<const T> t;
  T smoothing = 0;        // t becomes t (1 - smoothing) + smoothing / classes
  const T* dy = nullptr;  // gradient of each row's loss; dy_step 0: one number for all
  std::int64_t dy_step = 1;
  T* loss = nullptr;     // per row; a label outside [0, classes) gives NaN
  Panels<T> dz;          // null: loss only
  T* scratch = nullptr;  // softmax_loss_scratch(classes) numbers, 64-byte aligned
};

constexpr std::int64_t softmax_loss_scratch(std::int64_t classes) {
  return 2 * padded(classes) * 16;
}

struct SoftmaxLossKernels {
  void (*f32)(const SoftmaxLoss<float>&);
  void (*f64)(const SoftmaxLoss<double>&);
};
template <class T>
void softmax_loss(const SoftmaxLoss<T>& call);

}  // namespace densa
