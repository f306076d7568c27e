// Lowering: from a Program's nodes to a Plan's stages.
#pragma once
#include <string>
#include <vector>

#include "graph/plan.h"
#include "graph/stage.h"
#include "ops/optimizer/optimizer.h"
#include "ops/optimizer/step_maker.h"

namespace densa {

// Fills the plan's stages and buffers from its program.
void lower(Plan& plan, const std::vector<std::string>& collect);

// The scalars of one optimizer step, with and without weight decay, made once per step and thread.
struct OptimizerNumbers {
  StepNumbers<float> f32[2];
  StepNumbers<double> f64[2];
  // Gradients are multiplied with `unscale`, where no factor of a norm stands in its place.
  void make(StepMaker& maker, std::int64_t step, double rate, double unscale);
  template <class T>
  const StepNumbers<T>& get(bool decay) const;
};

// ---- what stages are made of ----------------------------------------------------------------

// A buffer number that becomes a pointer when the stage is bound. -1: absent, stays null.
template <class T>
struct Ref {
  int buffer = -1;
  T* p = nullptr;
  void bind(const Addresses& addresses) {
    p = buffer < 0 ? nullptr : reinterpret_cast<T*>(addresses.at(buffer));
  }
};

// A matrix in panels: a buffer, its panel stride and its rows. A vector (n) is a matrix of one row.
template <class T>
struct MatrixRef {
  int buffer = -1;
  std::ptrdiff_t stride = 0;  // elements from panel to panel
  Extent extent;
  Panels<T> m;
  std::ptrdiff_t local = -1;  // place among the thread's own buffers
  void bind(const Addresses& addresses) {
    local = buffer < 0 ? -1 : addresses.local(buffer);
    const bool common = buffer >= 0 && local < 0;
    m = {common ? reinterpret_cast<T*>(addresses.at(buffer)) : nullptr, stride};
  }
  Panels<const T> read() const { return {m.data, m.stride}; }
  // For operands that may lie in a local buffer.
  Panels<const T> read(const StepState& s) const {
    return {local < 0 ? m.data : reinterpret_cast<const T*>(s.local + local), m.stride};
  }
  T* panel(std::int64_t p) const { return m.panel(p); }
  T* at(std::int64_t p, std::int64_t row) const { return m.panel(p) + row * kPanel; }
};

}  // namespace densa
