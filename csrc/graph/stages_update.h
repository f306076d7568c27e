// Stages that change variables: optimizer steps, gradient norms, assignments.
#pragma once
#include <cmath>
#include <cstring>
#include <limits>

#include "graph/lower.h"
#include "ops/dense/dense.h"
#include "ops/optimizer/loss_scale.h"

namespace densa {

// The step of one variable: kernel, slots and the scale that norm clipping asks for.
template <class T>
struct StepRef {
  StepFn<T> step = nullptr;
  Ref<T> slots[kMaxSlots];
  int slot_count = 0;
  bool decay = true;
  Ref<double> scale;      // absent: 1
  bool may_skip = false;  // the scale is NaN where there is to be no step

  bool skips() const { return may_skip && std::isnan(*scale.p); }
  void bind(const Addresses& a) {
    for (int i = 0; i < slot_count; ++i) slots[i].bind(a);
    scale.bind(a);
  }
  StepNumbers<T> numbers(const StepState& s) const {
    StepNumbers<T> n = static_cast<const OptimizerNumbers*>(s.optimizer)->get<T>(decay);
    if (scale.p != nullptr) n.grad_scale = static_cast<T>(*scale.p);
    return n;
  }
  void pointers(T** out, std::ptrdiff_t offset) const {
    for (int i = 0; i < slot_count; ++i) out[i] = slots[i].p + offset;
  }
};

// Weight gradient and update in one pass; the gradient never reaches memory.
template <class T>
class DwUpdateStage final : public Stage {
 public:
  MatrixRef<T> x, dy, w;
  StepRef<T> step;
  std::int64_t in = 0, out = 0;
  void bind(const Addresses& a) override { x.bind(a), dy.bind(a), w.bind(a), step.bind(a); }
  void run(const StepState& s, Range units) override {
    const StepNumbers<T> numbers = step.numbers(s);
    const Box box = this->box(units, in, panel_count(out));
    T* slots[kMaxSlots];
    step.pointers(slots, 0);
    dw_update<T>({.x = x.read(s),
                  .dy = dy.read(),
                  .w = w.m,
                  .slots = slots,
                  .slot_count = step.slot_count,
                  .rows = dy.extent.rows(s),
                  .out = out,
                  .k_begin = box.row_begin,
                  .k_end = box.row_end,
                  .first_panel = box.first_panel,
                  .last_panel = box.last_panel,
                  .step = step.step,
                  .numbers = &numbers});
  }
};

template <class T>
class DbUpdateStage final : public Stage {
 public:
  MatrixRef<T> dy, b;
  StepRef<T> step;
  std::int64_t out = 0;
  void bind(const Addresses& a) override { dy.bind(a), b.bind(a), step.bind(a); }
  void run(const StepState& s, Range units) override {
    const StepNumbers<T> numbers = step.numbers(s);
    T* slots[kMaxSlots];
    step.pointers(slots, 0);
    db_update<T>({.dy = dy.read(),
                  .b = b.m.data,
                  .slots = slots,
                  .slot_count = step.slot_count,
                  .rows = dy.extent.rows(s),
                  .out = out,
                  .first_panel = units.begin,
                  .last_panel = units.end,
                  .step = step.step,
                  .numbers = &numbers});
  }
};

// The step over a finished gradient, in units of one panel (matrices) or 16 elements (all else).
// The last unit is cut to the variable's own elements, so its padding stays zero.
template <class T>
class UpdateStage final : public Stage {
 public:
  Ref<T> w, g;
  StepRef<T> step;
  std::int64_t unit = kPanel;  // elements per unit
  std::int64_t tail_cols = 0;  // matrices: columns of the last panel when it is not full, else 0
  std::int64_t elements = 0;   // all else: number of elements
  void bind(const Addresses& a) override { w.bind(a), g.bind(a), step.bind(a); }
  void run(const StepState& s, Range range) override {
    if (step.skips()) return;
    const StepNumbers<T> numbers = step.numbers(s);
    const std::int64_t begin = range.begin * unit;
    std::int64_t end = range.end * unit;
    if (elements > 0) end = std::min(end, elements);
    if (tail_cols > 0 && range.end == units)
      for (T* row = g.p + (units - 1) * unit; row < g.p + units * unit; row += kPanel)
        for (std::int64_t c = tail_cols; c < kPanel; ++c) row[c] = T(0);
    T* slots[kMaxSlots];
    step.pointers(slots, begin);
    step.step(w.p + begin, g.p + begin, slots, end - begin, numbers);
  }
  std::int64_t group(std::int64_t) const override { return unit > kPanel ? 2 : kAny; }
};

// Sum of squares of a gradient, one number per unit; padding is left out.
template <class T>
class SquaresStage final : public Stage {
 public:
  Ref<T> g;
  Ref<double> sums;
  std::int64_t unit = kPanel, tail_cols = 0, elements = 0;
  void bind(const Addresses& a) override { g.bind(a), sums.bind(a); }
  void run(const StepState&, Range range) override {
    for (std::int64_t u = range.begin; u < range.end; ++u) {
      T* at = g.p + u * unit;
      std::int64_t n = unit;
      if (elements > 0) n = std::min(n, elements - u * unit);
      if (tail_cols > 0 && u + 1 == units)
        for (T* row = at; row < at + unit; row += kPanel)
          for (std::int64_t c = tail_cols; c < kPanel; ++c) row[c] = T(0);
      sums.p[u] = sum_squares(at, n);
    }
  }
};

// From sums of squares to the factor that brings the norm down to the limit (Keras: clip_by_norm),
// and takes the loss scale off.
class NormScaleStage final : public Stage {
 public:
  struct Part {
    Ref<double> sums;
    std::int64_t count = 0;
  };
  std::vector<Part> parts;
  Ref<double> scale;
  Ref<float> loss_scale;  // absent: 1
  double limit = 0, unscale = 1;
  void bind(const Addresses& a) override {
    for (Part& part : parts) part.sums.bind(a);
    scale.bind(a), loss_scale.bind(a);
  }
  void run(const StepState&, Range) override {
    double total = 0;
    for (const Part& part : parts)
      for (std::int64_t i = 0; i < part.count; ++i) total += part.sums.p[i];
    const double off =
        loss_scale.p == nullptr ? unscale : unscale / static_cast<double>(*loss_scale.p);
    *scale.p = clip_factor(std::sqrt(total) * off, limit) * off;
  }
};

// Where a gradient is not finite, makes every factor NaN, which updates leave out; moves the scale.
class LossScaleStage final : public Stage {
 public:
  std::vector<NormScaleStage::Part> parts;
  std::vector<Ref<double>> factors;
  Ref<float> scale;
  Ref<std::int32_t> good_steps;
  std::int64_t growth_steps = 0;
  void bind(const Addresses& a) override {
    for (auto& part : parts) part.sums.bind(a);
    for (auto& factor : factors) factor.bind(a);
    scale.bind(a), good_steps.bind(a);
  }
  void run(const StepState&, Range) override {
    bool finite = true;
    for (const auto& part : parts)
      for (std::int64_t i = 0; i < part.count; ++i) finite &= std::isfinite(part.sums.p[i]);
    if (!finite)
      for (const auto& factor : factors) *factor.p = std::numeric_limits<double>::quiet_NaN();
    const LossScale next = after_step({*scale.p, *good_steps.p}, finite, growth_steps);
    *scale.p = next.scale;
    *good_steps.p = next.good_steps;
  }
};

// variable = value, both in the variable's own layout.
class AssignStage final : public Stage {
 public:
  Ref<std::byte> from, to;
  std::int64_t unit_bytes = 0, bytes = 0;
  void bind(const Addresses& a) override { from.bind(a), to.bind(a); }
  void run(const StepState&, Range range) override {
    const std::int64_t begin = range.begin * unit_bytes;
    const std::int64_t end = std::min(range.end * unit_bytes, bytes);
    if (begin < end)
      std::memmove(to.p + begin, from.p + begin, static_cast<std::size_t>(end - begin));
  }
  std::int64_t group(std::int64_t) const override { return kAny; }
};

}  // namespace densa
