// Stages over elementwise kernels on panels: activations, slopes, arithmetic, dropout.
#pragma once
#include "graph/lower.h"
#include "ops/dropout/dropout.h"
#include "ops/elementwise/elementwise.h"

namespace densa {

// An operand of a panel stage: a matrix like the result, a row vector, or one number.
template <class T>
struct Operand {
  MatrixRef<T> m;
  Step step = Step::kEach;
  void bind(const Addresses& a) { m.bind(a); }
  const T* panel(std::int64_t p) const {
    return step == Step::kScalar  ? m.m.data
           : step == Step::kRow16 ? m.m.data + p * kPanel
                                  : m.panel(p);
  }
};

template <class T>
class UnaryStage final : public Stage {
 public:
  const UnaryKernel* kernel = nullptr;
  double param = 0;
  MatrixRef<T> z, y;
  MatrixRef<T> slope;  // buffer >= 0: f'(z) is written as well
  void bind(const Addresses& a) override { z.bind(a), y.bind(a), slope.bind(a); }
  void run(const StepState& s, Range units) override {
    const auto n = static_cast<std::size_t>(y.extent.rows(s) * kPanel);
    const UnaryFns<T>& fns = kernel->fns<T>();
    for (std::int64_t p = units.begin; p < units.end; ++p)
      if (slope.buffer >= 0)
        fns.value_and_slope(y.panel(p), slope.panel(p), z.panel(p), n, &param);
      else
        fns.value(y.panel(p), z.panel(p), n, &param);
  }
};

template <class T>
class SlopeStage final : public Stage {
 public:
  const UnaryKernel* kernel = nullptr;
  double param = 0;
  MatrixRef<T> saved, dy, dx;
  void bind(const Addresses& a) override { saved.bind(a), dy.bind(a), dx.bind(a); }
  void run(const StepState& s, Range units) override {
    const auto n = static_cast<std::size_t>(dx.extent.rows(s) * kPanel);
    for (std::int64_t p = units.begin; p < units.end; ++p)
      kernel->fns<T>().slope(dx.panel(p), dy.panel(p), saved.panel(p), n, &param);
  }
};

template <class T>
class BinaryStage final : public Stage {
 public:
  const BinaryKernel* kernel = nullptr;
  Operand<T> a, b;
  MatrixRef<T> y;
  void bind(const Addresses& addresses) override {
    a.bind(addresses), b.bind(addresses), y.bind(addresses);
  }
  void run(const StepState& s, Range units) override {
    const auto n = static_cast<std::size_t>(y.extent.rows(s) * kPanel);
    for (std::int64_t p = units.begin; p < units.end; ++p)
      kernel->fn<T>()(y.panel(p), a.panel(p), b.panel(p), n, a.step, b.step);
  }
};

template <class T>
class DropoutStage final : public Stage {
 public:
  DropoutPanels<T> call;  // cols, rate, seed and stream are set by lowering
  MatrixRef<T> x, y;
  std::int64_t step = -1;  // -1: the plan's
  void bind(const Addresses& a) override { x.bind(a), y.bind(a); }
  void run(const StepState& s, Range units) override {
    DropoutPanels<T> now = call;
    now.x = x.read();
    now.y = y.m;
    now.rows = y.extent.rows(s);
    now.first_panel = units.begin;
    now.last_panel = units.end;
    now.step = static_cast<std::uint64_t>(step < 0 ? s.step : step);
    dropout(now);
  }
};

}  // namespace densa
