// Products with block-sparse weights.
#pragma once
#include "ops/dense/sparse.h"
#include "ops/dense/sparse_weights.h"
#include "predict/steps_panels.h"

namespace densa::predict {

class SparseDenseStep final : public Step {
 public:
  Place x, y;
  const float* w = nullptr;  // the blocks
  SparseIndex blocks;
  const float* b = nullptr;  // null: none
  std::int64_t in = 0;
  Activation activation;

  void places(const Visit& visit) override { visit(x), visit(y); }
  // All panels before the activation: rows of x stay cached while blocks pass by.
  void run(const Frame& f, Range units) const override {
    const SparseForward call{.x = x.panels<const float>(f, times),
                             .w = w,
                             .starts = blocks.starts.data(),
                             .index = blocks.index.data(),
                             .b = b,
                             .y = y.panels<float>(f, times),
                             .rows = f.rows * times,
                             .first_panel = units.begin,
                             .last_panel = units.end};
    sparse_kernels().forward(call);
    if (activation.kernel != nullptr)
      activation.run(call.y, {call.y.data, call.y.stride}, units.begin, units.end, call.rows);
  }
};

}  // namespace densa::predict
