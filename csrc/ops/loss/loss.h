// Cross-entropy of softmax(x) against class numbers or probabilities, row by row, and its gradient.
//
// With p = softmax(x) and target t: loss = sum t (log sum exp x - x), dx = dy (p sum t - t). Both
// come from x - max, so nothing overflows, and a probability of 0 costs no log(0). float32: the
// loss is within 4 ulp of the largest of its terms, dx within 2^-21 dy. A row whose class number is
// outside 0 ... cols-1 gives NaN in loss and dx.
#pragma once
#include "base/panel.h"

namespace densa {

// Any of `loss` and `dx.data` may be null: not wanted. Rows [row_begin, row_end) of row-major
// memory or panels; padding of dx's panels becomes zero. dx may be x.
template <class T>
struct CrossEntropy {
  Rows<const T> x;
  std::int64_t row_begin = 0, row_end = 0, cols = 0;
  const T* dy = nullptr;  // one number per row; null: `weight` for every row
  T weight = 1;
  T* loss = nullptr;  // one number per row
  Rows<T> dx;
};

template <class T>
struct LossFns {
  // targets (rows, cols), each t taken as t (1 - smoothing) + smoothing / cols
  void (*dense)(const CrossEntropy<T>&, const Rows<const T>& target, T smoothing);
  // one class number per row
  void (*sparse32)(const CrossEntropy<T>&, const std::int32_t* labels);
  void (*sparse64)(const CrossEntropy<T>&, const std::int64_t* labels);
  // hit[r] = 1 where the first largest score of row r is at its label, else 0
  void (*accuracy32)(const Rows<const T>& scores, std::int64_t row_begin, std::int64_t row_end,
                     std::int64_t cols, const std::int32_t* labels, T* hit);
  void (*accuracy64)(const Rows<const T>& scores, std::int64_t row_begin, std::int64_t row_end,
                     std::int64_t cols, const std::int64_t* labels, T* hit);
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
