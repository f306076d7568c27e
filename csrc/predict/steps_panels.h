// Steps on panels: products with their activation, elementwise ops, batch norm, softmax.
#pragma once
#include <algorithm>
#include <cstring>

#include "ops/batch_norm/batch_norm.h"
#include "ops/dense/dense.h"
#include "ops/elementwise/elementwise.h"
#include "ops/softmax/softmax.h"
#include "predict/step.h"

namespace densa::predict {

// An elementwise formula and its parameter; none where kernel is null.
struct Activation {
  const UnaryKernel* kernel = nullptr;
  double parameter = 0;

  template <class T>
  void run(T* y, const T* z, std::int64_t n) const {
    kernel->fns<T>().value(y, z, static_cast<std::size_t>(n), &parameter);
  }
  // Over panels [first, last) of a matrix in one call where they are one piece.
  template <class T>
  void run(const Panels<T>& y, const Panels<const T>& z, std::int64_t first, std::int64_t last,
           std::int64_t rows) const {
    const std::int64_t n = rows * kPanel;
    if (y.stride == n && z.stride == n)
      return run(y.panel(first), z.panel(first), n * (last - first));
    for (std::int64_t p = first; p < last; ++p) run(y.panel(p), z.panel(p), n);
  }
};

// product(first, last) computes panels of y; the activation, if there is one, finds them in the
// nearest cache.
template <class T, class F>
void run_with(const Activation& activation, const Panels<T>& y, Range units, std::int64_t rows,
              const F& product) {
  constexpr std::int64_t kFew = 8;  // rows whose panels are cached anyway
  const bool whole = activation.kernel == nullptr || rows <= kFew;
  const std::int64_t group = whole ? units.end - units.begin : forward_group(rows);
  for (std::int64_t p = units.begin; p < units.end; p += group) {
    const std::int64_t last = std::min(p + group, units.end);
    product(p, last);
    if (activation.kernel != nullptr) activation.run(y, {y.data, y.stride}, p, last, rows);
  }
}

template <class T>
class DenseStep final : public Step {
 public:
  Place x, y;
  const T* w = nullptr;  // in panels
  const T* b = nullptr;  // null: none
  std::int64_t in = 0;
  Activation activation;

  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range units) const override {
    DenseForward<T> call{.x = x.panels<const T>(f, times),
                         .w = {w, in * kPanel},
                         .b = b,
                         .y = y.panels<T>(f, times),
                         .in = in,
                         .row_begin = 0,
                         .row_end = f.rows * times};
    run_with(activation, call.y, units, call.row_end, [&](std::int64_t first, std::int64_t last) {
      call.first_panel = first;
      call.last_panel = last;
      dense_kernels<T>().forward(call);
    });
  }
};

template <class T>
class UnaryStep final : public Step {
 public:
  Place x, y;
  Activation activation;
  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range units) const override {
    activation.run(y.panels<T>(f, times), x.panels<const T>(f, times), units.begin, units.end,
                   f.rows * times);
  }
};

template <class T>
class BinaryStep final : public Step {
 public:
  struct Operand {
    Place place;
    densa::Step step = densa::Step::kEach;
    const T* at(const Frame& f, std::int64_t p) const {
      const T* data = place.as<const T>(f);
      switch (step) {
        case densa::Step::kScalar: return data;
        case densa::Step::kRow16: return data + p * kPanel;
        case densa::Step::kEach: break;
      }
      return data + p * f.rows * kPanel;
    }
  };
  Operand a, b;
  Place y;
  const BinaryKernel* kernel = nullptr;
  void places(const Visit& visit) override { visit(a.place), visit(b.place), visit(y); }
  void run(const Frame& f, Range units) const override {
    const auto n = static_cast<std::size_t>(f.rows * kPanel);
    for (std::int64_t p = units.begin; p < units.end; ++p)
      kernel->fn<T>()(y.panels<T>(f).panel(p), a.at(f, p), b.at(f, p), n, a.step, b.step);
  }
};

template <class T>
class BatchNormStep final : public Step {
 public:
  Place x, y;
  const T *gamma = nullptr, *beta = nullptr, *mean = nullptr, *variance = nullptr;
  T epsilon = 0;
  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range units) const override {
    batch_norm_kernels<T>().infer({.x = x.panels<const T>(f),
                                   .gamma = gamma,
                                   .beta = beta,
                                   .mean = const_cast<T*>(mean),  // inference reads it
                                   .variance = const_cast<T*>(variance),
                                   .epsilon = epsilon,
                                   .y = y.panels<T>(f),
                                   .rows = f.rows,
                                   .first_panel = units.begin,
                                   .last_panel = units.end});
  }
};

// softmax or log_softmax along the columns, from panels to panels or straight to an output.
template <class T>
class SoftmaxStep final : public Step {
 public:
  Place x, y;
  std::int64_t cols = 0;
  bool to_rows = false;  // y is row-major
  SoftmaxFn<T> softmax = nullptr;
  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range) const override {
    const Rows<T> to = to_rows ? Rows<T>{y.as<T>(f), cols, kPanel} : rows_of_panels(y.panels<T>(f));
    softmax(to, rows_of_panels(x.panels<const T>(f)), 0, f.rows, cols);
  }
};

// Row-major to panels: nothing to do where one row is read as it lies (and times is 1).
template <class T>
class PackStep final : public Step {
 public:
  Place x, y;
  std::int64_t cols = 0;
  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range units) const override {
    if (y.kind == Place::kOneRow && f.rows == 1) return;
    const std::int64_t first = units.begin * kPanel, last = std::min(units.end * kPanel, cols);
    const Panels<T> to = y.panels<T>(f, times);
    dense_kernels<T>().pack({.data = x.as<const T>(f) + first,
                             .row_stride = cols,
                             .col_stride = 1,
                             .y = {to.panel(units.begin), to.stride},
                             .cols = last - first,
                             .row_begin = 0,
                             .row_end = f.rows * times});
  }
};

template <class T>
class UnpackStep final : public Step {
 public:
  Place x, y;
  std::int64_t cols = 0;
  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range) const override {
    if (f.rows * times == 1) {
      std::memcpy(y.as<T>(f), x.as<const T>(f), static_cast<std::size_t>(cols) * sizeof(T));
      return;
    }
    dense_kernels<T>().unpack({.x = x.panels<const T>(f, times),
                               .data = y.as<T>(f),
                               .row_stride = cols,
                               .col_stride = 1,
                               .cols = cols,
                               .row_begin = 0,
                               .row_end = f.rows * times});
  }
};

}  // namespace densa::predict
