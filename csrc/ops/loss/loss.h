// Softmax cross-entropy against class numbers or probabilities, loss and gradient in one pass, and
// accuracy.
//
//   loss = sum_c t_c (log sum exp z - z_c),   dz = dy (softmax(z) sum t - t)
//
// Both come from z - max z, so nothing overflows, and a probability of 0 costs no log(0). Blocks of
// 16 rows are transposed so that lanes are rows: sums over the classes are plain vector code, and a
// row's result depends on that row alone, not on its neighbours nor on where the matrix lies. Sums
// go in ascending order, 16 classes at a time. float32: a probability is within
// 2^-22 (4 + |z - max|) of itself, the loss within 2^-21 of the sum of its terms.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

struct Labels {  // class numbers of any integer type, one per row
  const void* data = nullptr;
  int bytes = 8;
  bool is_signed = true;  // of no matter at 8 bytes: beyond int64 is out of range either way
};

// Rows [row_begin, row_end) of row-major memory or panels.
template <class T>
struct SoftmaxLoss {
  Rows<const T> z;
  std::int64_t classes = 0;  // at least 1
  std::int64_t row_begin = 0, row_end = 0;
  Labels labels;             // outside [0, classes): NaN in loss and dz
  Rows<const T> t;           // instead of labels, where their data is null
  T smoothing = 0;           // t becomes t (1 - smoothing) + smoothing / classes
  const T* dy = nullptr;     // gradient of each row's loss, if dz is wanted
  std::int64_t dy_step = 1;  // 0: one number for all rows
  T* loss = nullptr;         // per row; null: not wanted
  Rows<T> dz;                // may be z; null data: not wanted. Padding of panels becomes zero
  T* scratch = nullptr;      // softmax_loss_scratch() numbers, 64-byte aligned
};

constexpr std::int64_t softmax_loss_scratch(std::int64_t classes, bool with_labels) {
  return (with_labels ? 1 : 2) * padded(classes) * 16;
}

template <class T>
struct LossFns {
  void (*softmax)(const SoftmaxLoss<T>& call);
  // hit[r] = 1 where the first largest score of row r is at its label, else 0
  void (*accuracy)(const Rows<const T>& scores, std::int64_t row_begin, std::int64_t row_end,
                   std::int64_t cols, const Labels& labels, T* hit);
};

struct LossTable {
  LossFns<float> f32;
  LossFns<double> f64;
};
const LossTable& loss_table();

template <class T>
const LossFns<T>& loss_fns() {
  if constexpr (sizeof(T) == sizeof(float)) {
    return loss_table().f32;
  } else {
    return loss_table().f64;
  }
}

}  // namespace densa
