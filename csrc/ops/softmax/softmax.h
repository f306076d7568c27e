// softmax and log_softmax along the rows of a matrix, in row-major memory or panels.
//
// y = exp(x - max) / sum exp(x - max). float32: exp is within 2 ulp and the sum of n terms is in 16
// lanes, so y is within 4 ulp + n / 16 roundings; log_softmax is within 4 ulp of the larger of
// |x - max| and |result|.
#pragma once
#include "base/panel.h"

namespace densa {

// Reads and writes rows [row_begin, row_end). y may be x. Padding of y's panels becomes zero.
template <class T>
using SoftmaxFn = void (*)(const Rows<T>& y, const Rows<const T>& x, std::int64_t row_begin,
                           std::int64_t row_end, std::int64_t cols);

template <class T>
struct SoftmaxFns {
  SoftmaxFn<T> softmax;
  SoftmaxFn<T> log_softmax;
};

struct SoftmaxTable {
  SoftmaxFns<float> f32;
  SoftmaxFns<double> f64;
};
const SoftmaxTable& softmax_table();

template <class T>
const SoftmaxFns<T>& softmax_fns() {
  if constexpr (sizeof(T) == sizeof(float)) {
    return softmax_table().f32;
  } else {
    return softmax_table().f64;
  }
}

}  // namespace densa
