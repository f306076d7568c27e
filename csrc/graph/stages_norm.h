// Batch normalisation over panels.
#pragma once
#include "graph/lower.h"
#include "ops/batch_norm/batch_norm.h"

namespace densa {

template <class T>
class BatchNormStage final : public Stage {
 public:
  MatrixRef<T> x, y;
  Ref<T> gamma, beta, mean, variance;
  T epsilon = 0;
  bool training = false;
  void bind(const Addresses& a) override {
    x.bind(a), y.bind(a), gamma.bind(a), beta.bind(a), mean.bind(a), variance.bind(a);
  }
  void run(const StepState& s, Range units) override {
    const auto& kernels = batch_norm_kernels<T>();
    (training ? kernels.train : kernels.infer)({.x = x.read(),
                                                .gamma = gamma.p,
                                                .beta = beta.p,
                                                .mean = mean.p,
                                                .variance = variance.p,
                                                .epsilon = epsilon,
                                                .y = y.m,
                                                .rows = y.extent.rows(s),
                                                .first_panel = units.begin,
                                                .last_panel = units.end});
  }
};

template <class T>
class BatchNormGradStage final : public Stage {
 public:
  MatrixRef<T> x, dy, dx;
  Ref<T> gamma, mean, variance, dgamma, dbeta;
  T epsilon = 0;
  void bind(const Addresses& a) override {
    x.bind(a), dy.bind(a), dx.bind(a), gamma.bind(a), mean.bind(a), variance.bind(a);
    dgamma.bind(a), dbeta.bind(a);
  }
  void run(const StepState& s, Range units) override {
    batch_norm_kernels<T>().grad({.x = x.read(),
                                  .dy = dy.read(),
                                  .gamma = gamma.p,
                                  .mean = mean.p,
                                  .variance = variance.p,
                                  .epsilon = epsilon,
                                  .dx = dx.m,
                                  .dgamma = dgamma.p,
                                  .dbeta = dbeta.p,
                                  .rows = dx.extent.rows(s),
                                  .first_panel = units.begin,
                                  .last_panel = units.end});
  }
};

}  // namespace densa
