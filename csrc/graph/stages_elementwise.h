// Stages over elementwise kernels on panels: activations, slopes, arithmetic, dropout.
#pragma once
#include "graph/lower.h"
#include "ops/dropout/dropout.h"
#include "ops/elementwise/elementwise.h"
#include "ops/random/draw.h"

namespace densa {

// An operand of a panel stage: a matrix like the result, a row vector, or one number.
template <class T>
struct Operand {
  MatrixRef<T> m;
  Step step = Step::kEach;
  void bind(const Addresses& a) { m.bind(a); }
  const T* at(std::int64_t p, std::int64_t row) const {
    return step == Step::kScalar  ? m.m.data
           : step == Step::kRow16 ? m.m.data + p * kPanel
                                  : m.at(p, row);
  }
};

template <class T>
class UnaryStage final : public Stage {
 public:
  const UnaryKernel* kernel = nullptr;
  double param = 0;
  std::int64_t panels = 1;
  MatrixRef<T> z, y;
  MatrixRef<T> slope;  // buffer >= 0: f'(z) is written as well
  void bind(const Addresses& a) override { z.bind(a), y.bind(a), slope.bind(a); }
  void run(const StepState& s, Range units) override {
    const Box box = this->box(units, y.extent.rows(s), panels);
    const auto n = static_cast<std::size_t>(box.rows() * kPanel);
    const std::int64_t r = box.row_begin;
    const UnaryFns<T>& fns = kernel->fns<T>();
    for (std::int64_t p = box.first_panel; p < box.last_panel; ++p)
      if (slope.buffer >= 0)
        fns.value_and_slope(y.at(p, r), slope.at(p, r), z.at(p, r), n, &param);
      else
        fns.value(y.at(p, r), z.at(p, r), n, &param);
  }
};

template <class T>
class SlopeStage final : public Stage {
 public:
  const UnaryKernel* kernel = nullptr;
  double param = 0;
  std::int64_t panels = 1;
  MatrixRef<T> saved, dy, dx;
  void bind(const Addresses& a) override { saved.bind(a), dy.bind(a), dx.bind(a); }
  void run(const StepState& s, Range units) override {
    const Box box = this->box(units, dx.extent.rows(s), panels);
    const auto n = static_cast<std::size_t>(box.rows() * kPanel);
    const std::int64_t r = box.row_begin;
    for (std::int64_t p = box.first_panel; p < box.last_panel; ++p)
      kernel->fns<T>().slope(dx.at(p, r), dy.at(p, r), saved.at(p, r), n, &param);
  }
};

template <class T>
class BinaryStage final : public Stage {
 public:
  const BinaryKernel* kernel = nullptr;
  std::int64_t panels = 1;
  Operand<T> a, b;
  MatrixRef<T> y;
  void bind(const Addresses& addresses) override {
    a.bind(addresses), b.bind(addresses), y.bind(addresses);
  }
  void run(const StepState& s, Range units) override {
    const Box box = this->box(units, y.extent.rows(s), panels);
    const auto n = static_cast<std::size_t>(box.rows() * kPanel);
    const std::int64_t r = box.row_begin;
    for (std::int64_t p = box.first_panel; p < box.last_panel; ++p)
      kernel->fn<T>()(y.at(p, r), a.at(p, r), b.at(p, r), n, a.step, b.step);
  }
};

template <class T>
class DropoutStage final : public Stage {
 public:
  DropoutPanels<T> call;  // cols, rate, seed and stream are set by lowering
  MatrixRef<T> x, y;
  Draw draw;
  void bind(const Addresses& a) override { x.bind(a), y.bind(a); }
  void run(const StepState& s, Range units) override {
    DropoutPanels<T> now = call;
    now.x = x.read();
    now.y = y.m;
    const Box box = this->box(units, y.extent.rows(s), panel_count(call.cols));
    now.row_begin = box.row_begin;
    now.row_end = box.row_end;
    now.first_panel = box.first_panel;
    now.last_panel = box.last_panel;
    now.step = draw.at(s.draw);
    dropout(now);
  }
};

}  // namespace densa
