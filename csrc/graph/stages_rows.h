// Stages that go row by row (gathering, losses, results) and the row-major fallback for every op.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "graph/lower.h"
#include "graph/nonfinite.h"
#include "ops/feed/feed.h"
#include "ops/loss/labels.h"

namespace densa {

// One input, gathered into panels or row-major; floating results may be cast and scaled on the way.
class FeedStage final : public Stage {
 public:
  int input = 0, input_count = 1;
  DType to = DType::kFloat32;
  bool convert = false;  // false: rows are copied byte by byte
  Feed feed;             // cols, stride, panels, affine, scale, offset are set by lowering
  Ref<std::byte> y;
  std::ptrdiff_t local = -1;   // place of y among the thread's own buffers
  std::int64_t row_bytes = 0;  // of y, when rows are copied
  std::shared_ptr<std::atomic<std::int64_t>> nonfinite;
  void bind(const Addresses& a) override {
    local = a.local(y.buffer);
    if (local < 0) y.bind(a);
  }
  void run(const StepState& s, Range units) override {
    const SourceArray& source = s.sources[input];
    const Box box = this->box(units, s.rows, 1);
    const std::int64_t begin = box.row_begin, end = box.row_end;
    if (!convert) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::int64_t at = s.first + r;
        std::memcpy(y.p + r * row_bytes,
                    source.data + (s.order != nullptr ? s.order[at] : at) * source.row_bytes,
                    static_cast<std::size_t>(row_bytes));
      }
      return;
    }
    Feed call = feed;
    call.data = source.data;
    call.row_bytes = source.row_bytes;
    call.order = s.order;
    call.first = s.first;
    call.row_begin = begin;
    call.row_end = end;
    call.y = local < 0 ? y.p : s.local + local;
    const FeedKernels& kernels = feed_kernels();
    const auto from = static_cast<int>(source.dtype);
    const std::int64_t bad = (to == DType::kFloat32 ? kernels.to_f32 : kernels.to_f64)[from](call);
    if (bad >= 0) {
      const std::int64_t row =
          smallest_nonfinite(source, feed.cols, to, s.order, s.first + bad, s.first + end);
      if (row >= 0) keep_smallest(*nonfinite, row * input_count + input);
    }
  }
  std::int64_t group(std::int64_t) const override { return kAny; }
};

// loss and dz of a softmax cross-entropy.
template <class T>
class SoftmaxLossStage final : public Stage {
 public:
  MatrixRef<T> z, t, dz;
  Ref<std::byte> labels;
  DType label_type = DType::kInt64;
  Ref<T> dy, loss;
  std::int64_t dy_step = 1, classes = 0;
  T smoothing = 0;
  void bind(const Addresses& a) override {
    z.bind(a), t.bind(a), dz.bind(a), labels.bind(a), dy.bind(a), loss.bind(a);
  }
  void run(const StepState& s, Range units) override {
    SoftmaxLoss<T> call;
    call.z = rows_of_panels(z.read());
    call.classes = classes;
    call.row_begin = units.begin * kPanel;
    call.row_end = std::min(units.end * kPanel, z.extent.rows(s));
    call.labels = labels_of(labels.p, label_type);
    call.t = rows_of_panels(t.read());
    call.smoothing = smoothing;
    call.dy = dy.p;
    call.dy_step = dy_step;
    call.loss = loss.p;
    call.dz = rows_of_panels(dz.m);
    call.scratch = reinterpret_cast<T*>(s.scratch);
    loss_fns<T>().softmax(call);
  }
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(softmax_loss_scratch(classes, labels.buffer >= 0)) * sizeof(T);
  }
  std::int64_t group(std::int64_t) const override { return kAny; }
};

// Rows of a result to the caller's array.
class EmitRowsStage final : public Stage {
 public:
  Ref<std::byte> x;
  int result = 0;
  std::int64_t row_bytes = 0;
  void bind(const Addresses& a) override { x.bind(a); }
  void run(const StepState& s, Range units) override {
    const ResultArray& to = s.results[result];
    const std::int64_t begin = units.begin * kPanel, end = std::min(units.end * kPanel, s.rows);
    for (std::int64_t r = begin; r < end; ++r)
      std::memcpy(to.data + (s.first + r) * to.row_bytes, x.p + r * row_bytes,
                  static_cast<std::size_t>(row_bytes));
  }
  std::int64_t group(std::int64_t) const override { return kAny; }
};

class RowCountStage final : public Stage {
 public:
  Ref<std::byte> y;
  Extent count;
  DType dtype = DType::kFloat32;
  void bind(const Addresses& a) override { y.bind(a); }
  void run(const StepState& s, Range) override {
    visit_dtype(dtype, [&](auto zero) {
      *reinterpret_cast<decltype(zero)*>(y.p) = static_cast<decltype(zero)>(count.rows(s));
    });
  }
};

// Any op on row-major buffers: what has no panel kernel. Cut by rows where the op takes each row of
// the batch by itself, else on one thread.
class OpStage final : public Stage {
 public:
  static constexpr std::size_t kMostOperands = 24;  // of an op that is cut by rows

  struct Operand {
    TypeInfo type;  // with kRows
    Ref<std::byte> data;
    std::size_t row_bytes = 0;  // 0: it has no rows
  };
  const Op* op = nullptr;
  Attrs attrs;
  std::vector<Operand> in, out;
  std::size_t scratch = 0;
  std::shared_ptr<Failure> failure;

  void bind(const Addresses& a) override {
    for (Operand& operand : in) operand.data.bind(a);
    for (Operand& operand : out) operand.data.bind(a);
    views_in_.resize(in.size());
    views_out_.resize(out.size());
    rows_ = -1;
  }
  void run(const StepState& s, Range units) override {
    if (split == Split::kOne) {
      if (s.rows != rows_) {
        rows_ = s.rows;
        point(in, views_in_.data(), 0, s.rows);
        point(out, views_out_.data(), 0, s.rows);
      }
      return eval(s, views_in_, views_out_, 0);
    }
    std::array<View, kMostOperands> views;
    const std::int64_t begin = units.begin * kPanel, end = std::min(units.end * kPanel, s.rows);
    point(in, views.data(), begin, end - begin);
    point(out, views.data() + in.size(), begin, end - begin);
    eval(s, {views.data(), in.size()}, {views.data() + in.size(), out.size()}, begin);
  }
  std::size_t scratch_bytes() const override { return scratch; }
  std::int64_t group(std::int64_t) const override { return kAny; }

 private:
  void eval(const StepState& s, std::span<const View> from, std::span<const View> to,
            std::int64_t row) {
    try {
      op->eval({from, to, attrs, s.scratch, s.draw});
    } catch (...) {
      failure->keep(std::current_exception(), s.interval, row);
    }
  }
  static void point(const std::vector<Operand>& operands, View* views, std::int64_t begin,
                    std::int64_t rows) {
    for (const Operand& operand : operands) {
      const Dims shape = with_rows(operand.type.shape, rows);
      std::byte* const data = operand.data.p + static_cast<std::size_t>(begin) * operand.row_bytes;
      *views++ = {data, operand.type.dtype, shape, contiguous_strides(shape)};
    }
  }

  std::int64_t rows_ = -1;
  std::vector<View> views_in_, views_out_;  // of one piece
};

}  // namespace densa
