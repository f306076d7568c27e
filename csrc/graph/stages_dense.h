// Stages over the dense kernels: forward, gradient of the input, gradient of the weights.
#pragma once
#include <algorithm>

#include "graph/lower.h"
#include "ops/dense/dense.h"

namespace densa {

template <class T>
class DenseStage final : public Stage {
 public:
  MatrixRef<T> x, w, y;
  Ref<T> b;
  std::int64_t in = 0;
  std::int64_t panels = 0;  // of y

  void bind(const Addresses& a) override { x.bind(a), w.bind(a), y.bind(a), b.bind(a); }
  void run(const StepState& s, Range units) override {
    const Box box = this->box(units, y.extent.rows(s), panels);
    dense_kernels<T>().forward({.x = x.read(s),
                                .w = w.read(),
                                .b = b.p,
                                .y = y.m,
                                .in = in,
                                .row_begin = box.row_begin,
                                .row_end = box.row_end,
                                .first_panel = box.first_panel,
                                .last_panel = box.last_panel});
  }
  std::int64_t group(std::int64_t rows) const override {
    return split == Split::kRows ? 4 : forward_group(rows);
  }
};

template <class T>
class TransposeStage final : public Stage {
 public:
  MatrixRef<T> y, yT;
  std::int64_t cols = 0;
  void bind(const Addresses& a) override { y.bind(a), yT.bind(a); }
  void run(const StepState& s, Range units) override {
    const Box box = this->box(units, y.extent.rows(s), panel_count(cols));
    dense_kernels<T>().transpose({.y = {y.m.data + box.row_begin * kPanel, y.stride},
                                  .yT = {yT.panel(box.row_begin / kPanel), yT.stride},
                                  .rows = box.rows(),
                                  .cols = cols,
                                  .first_panel = box.first_panel,
                                  .last_panel = box.last_panel});
  }
};

template <class T>
class DxStage final : public Stage {
 public:
  MatrixRef<T> dyT, w, dx;
  std::int64_t in = 0, out = 0;
  void bind(const Addresses& a) override { dyT.bind(a), w.bind(a), dx.bind(a); }
  void run(const StepState& s, Range units) override {
    const Box box = this->box(units, dx.extent.rows(s), panel_count(in));
    dense_kernels<T>().dx({.dyT = {dyT.panel(box.row_begin / kPanel), dyT.stride},
                           .w = w.read(),
                           .dx = {dx.m.data + box.row_begin * kPanel, dx.stride},
                           .rows = box.rows(),
                           .in = in,
                           .out = out,
                           .first_panel = box.first_panel,
                           .last_panel = box.last_panel});
  }
};

// dw into a gradient buffer, for programs whose optimizer cannot be fused.
template <class T>
class DwStage final : public Stage {
 public:
  MatrixRef<T> x, dy, dw;
  std::int64_t in = 0, out = 0;
  void bind(const Addresses& a) override { x.bind(a), dy.bind(a), dw.bind(a); }
  void run(const StepState& s, Range units) override {
    const Box box = this->box(units, in, panel_count(out));
    dense_kernels<T>().dw({.x = x.read(s),
                           .dy = dy.read(),
                           .dw = {dw.panel(box.first_panel) + box.row_begin * kPanel, dw.stride},
                           .rows = dy.extent.rows(s),
                           .out = out,
                           .k_begin = box.row_begin,
                           .k_end = box.row_end,
                           .first_panel = box.first_panel,
                           .last_panel = box.last_panel});
  }
};

// Column sums: the gradient of a bias.
template <class T>
class ColumnSumStage final : public Stage {
 public:
  MatrixRef<T> dy, db;
  std::int64_t out = 0;
  void bind(const Addresses& a) override { dy.bind(a), db.bind(a); }
  void run(const StepState& s, Range units) override {
    dense_kernels<T>().db({.dy = dy.read(),
                           .db = db.m.data,
                           .rows = dy.extent.rows(s),
                           .out = out,
                           .first_panel = units.begin,
                           .last_panel = units.end});
  }
};

// Row-major to panels and back, by blocks of 16 rows.
template <class T>
class PackStage final : public Stage {
 public:
  Ref<T> x;
  MatrixRef<T> y;
  std::int64_t cols = 0;
  void bind(const Addresses& a) override { x.bind(a), y.bind(a); }
  void run(const StepState& s, Range units) override {
    const std::int64_t rows = y.extent.rows(s);
    const bool all = split == Split::kOne;
    dense_kernels<T>().pack({.data = x.p,
                             .row_stride = cols,
                             .col_stride = 1,
                             .y = y.m,
                             .cols = cols,
                             .row_begin = all ? 0 : units.begin * kPanel,
                             .row_end = all ? rows : std::min(units.end * kPanel, rows)});
  }
};

template <class T>
class UnpackStage final : public Stage {
 public:
  MatrixRef<T> x;
  Ref<T> y;
  std::int64_t cols = 0;
  void bind(const Addresses& a) override { x.bind(a), y.bind(a); }
  void run(const StepState& s, Range units) override {
    const std::int64_t rows = x.extent.rows(s);
    const bool all = split == Split::kOne;
    dense_kernels<T>().unpack({.x = x.read(s),
                               .data = y.p,
                               .row_stride = cols,
                               .col_stride = 1,
                               .cols = cols,
                               .row_begin = all ? 0 : units.begin * kPanel,
                               .row_end = all ? rows : std::min(units.end * kPanel, rows)});
  }
};

}  // namespace densa
