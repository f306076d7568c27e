// Products with narrow weights: x is rounded or quantized by a step of its own, for all of the
// block's rows and all threads, then multiplied.
#pragma once
#include <algorithm>

#include "ops/dense/dense.h"
#include "ops/dense/narrow.h"
#include "predict/steps_panels.h"

namespace densa::predict {

class PrepareStep final : public Step {
 public:
  Place x, y;
  Narrow form = Narrow::kBFloat16;
  std::int64_t in = 0;
  float scale = 0;  // int8: given (NarrowPrepare)
  std::int32_t zero = 0;
  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range) const override {
    narrow_kernels(form).prepare({.x = x.panels<const float>(f, times),
                                  .to = y.address(f),
                                  .in = in,
                                  .rows = f.rows * times,
                                  .scale = scale,
                                  .zero = zero});
  }
};

class NarrowDenseStep final : public Step {
 public:
  Place x, y;  // x: from a PrepareStep
  Narrow form = Narrow::kBFloat16;
  const std::byte* w = nullptr;
  const float* b = nullptr;  // null: none
  std::int64_t in = 0, out = 0;
  Activation activation;

  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range units) const override {
    const NarrowWeights parts = narrow_weights(form, in, out);
    NarrowForward call{.x = x.address(f),
                       .w = w,
                       .scale = reinterpret_cast<const float*>(w + parts.scale),
                       .sum = reinterpret_cast<const std::int32_t*>(w + parts.sum),
                       .b = b,
                       .y = y.panels<float>(f, times),
                       .in = in,
                       .rows = f.rows * times};
    const auto forward = narrow_kernels(form).forward;
    run_with(activation, call.y, units, call.rows, [&](std::int64_t first, std::int64_t last) {
      call.first_panel = first;
      call.last_panel = last;
      forward(call);
    });
  }
};

}  // namespace densa::predict
