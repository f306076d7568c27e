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
    const std::int64_t rows = y.extent.rows(s);
    DenseForward<T> call{.x = x.read(), .w = w.read(), .b = b.p, .y = y.m, .in = in};
    call.row_end = rows;
    call.last_panel = panels;
    if (split == Split::kPanels) {
      call.first_panel = units.begin;
      call.last_panel = units.end;
    } else {
      call.row_begin = units.begin * kPanel;
      call.row_end = std::min(units.end * kPanel, rows);
    }
    dense_kernels<T>().forward(call);
  }
  std::int64_t group(std::int64_t rows) const override {
    return split == Split::kPanels ? forward_group(rows) : 4;
  }
};

template <class T>
class TransposeStage final : public Stage {
 public:
  MatrixRef<T> y, yT;
  std::int64_t cols = 0;
  void bind(const Addresses& a) override { y.bind(a), yT.bind(a); }
  void run(const StepState& s, Range units) override {
    Transpose<T> call{.y = y.read(), .yT = yT.m, .rows = y.extent.rows(s), .cols = cols};
    call.first_panel = units.begin;
    call.last_panel = units.end;
    if (split == Split::kRows) {
      call.y.data += units.begin * kPanel * kPanel;
      call.yT.data += units.begin * yT.stride;
      call.rows = std::min(units.end * kPanel, call.rows) - units.begin * kPanel;
      call.first_panel = 0;
      call.last_panel = panel_count(cols);
    }
    dense_kernels<T>().transpose(call);
  }
};

template <class T>
class DxStage final : public Stage {
 public:
  MatrixRef<T> dyT, w, dx;
  std::int64_t in = 0, out = 0;
  void bind(const Addresses& a) override { dyT.bind(a), w.bind(a), dx.bind(a); }
  void run(const StepState& s, Range units) override {
    dense_kernels<T>().dx({.dyT = dyT.read(),
                           .w = w.read(),
                           .dx = dx.m,
                           .rows = dx.extent.rows(s),
                           .in = in,
                           .out = out,
                           .first_panel = units.begin,
                           .last_panel = units.end});
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
    dense_kernels<T>().dw({.x = x.read(),
                           .dy = dy.read(),
                           .dw = {dw.panel(units.begin), dw.stride},
                           .rows = dy.extent.rows(s),
                           .out = out,
                           .k_begin = 0,
                           .k_end = in,
                           .first_panel = units.begin,
                           .last_panel = units.end});
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
    dense_kernels<T>().unpack({.x = x.read(),
                               .data = y.p,
                               .row_stride = cols,
                               .col_stride = 1,
                               .cols = cols,
                               .row_begin = all ? 0 : units.begin * kPanel,
                               .row_end = all ? rows : std::min(units.end * kPanel, rows)});
  }
};

}  // namespace densa
