// Batch normalisation: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, per channel.
//
// Training takes mean and (biased) variance of the batch and also returns them; inference takes the
// given ones. The ops batch_norm and batch_norm_grad run on any axes; the panel kernels below serve
// plans, where channels are the columns of a matrix. Sums run down the rows in ascending order, so
// they depend on the batch alone.
//
// Gradient, with n rows, s = 1 / sqrt(variance + epsilon), h = (x - mean) s:
//   dbeta = sum dy,  dgamma = sum dy h,  dx = gamma s (dy - (dbeta + h dgamma) / n)
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

// All vectors have padded(cols) readable elements; panels [first_panel, last_panel) are worked on.
template <class T>
struct BatchNorm {
  Panels<const T> x;
  const T* gamma = nullptr;
  const T* beta = nullptr;
  T* mean = nullptr;  // training: written; inference: read
  T* variance = nullptr;
  T epsilon = 0;
  Panels<T> y;  // may be x
  std::int64_t rows = 0;
  std::int64_t first_panel = 0, last_panel = 0;
};

template <class T>
struct BatchNormGrad {
  Panels<const T> x, dy;
  const T* gamma = nullptr;
  const T* mean = nullptr;
  const T* variance = nullptr;
  T epsilon = 0;
  Panels<T> dx;  // may be dy
  T* dgamma = nullptr;
  T* dbeta = nullptr;
  std::int64_t rows = 0;
  std::int64_t first_panel = 0, last_panel = 0;
};

template <class T>
struct BatchNormKernels {
  void (*train)(const BatchNorm<T>&);
  void (*infer)(const BatchNorm<T>&);
  void (*grad)(const BatchNormGrad<T>&);
};
template <class T>
const BatchNormKernels<T>& batch_norm_kernels();
template <>
const BatchNormKernels<float>& batch_norm_kernels<float>();
template <>
const BatchNormKernels<double>& batch_norm_kernels<double>();

}  // namespace densa
