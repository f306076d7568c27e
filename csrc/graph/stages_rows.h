// Stages that go row by row (gathering, losses, results) and the row-major fallback for every op.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
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
    call.row_end = std::min(units.end * kPanel, s.rows);
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
  DType dtype = DType::kFloat32;
  void bind(const Addresses& a) override { y.bind(a); }
  void run(const StepState& s, Range) override {
    visit_dtype(dtype, [&](auto zero) {
      *reinterpret_cast<decltype(zero)*>(y.p) = static_cast<decltype(zero)>(s.rows);
    });
  }
};

// Any op on row-major buffers, on one thread: what has no panel kernel.
class OpStage final : public Stage {
 public:
  const Op* op = nullptr;
  Attrs attrs;
  std::vector<TypeInfo> in_types, out_types;  // with kRows
  std::vector<Ref<std::byte>> in, out;
  std::size_t scratch = 0;
  std::shared_ptr<Failure> failure;

  void bind(const Addresses& a) override {
    for (auto& ref : in) ref.bind(a);
    for (auto& ref : out) ref.bind(a);
    views_in_.resize(in.size());
    views_out_.resize(out.size());
    rows_ = -1;
  }
  void run(const StepState& s, Range) override {
    if (s.rows != rows_) point(s.rows);
    try {
      op->eval({views_in_, views_out_, attrs, s.scratch, s.draw});
    } catch (...) {  // thread 0 alone runs these
      if (!failure->error) failure->error = std::current_exception();
      failure->interval.store(std::min(failure->interval.load(), s.interval));
    }
  }
  std::size_t scratch_bytes() const override { return scratch; }

 private:
  void point(std::int64_t rows) {
    rows_ = rows;
    for (std::size_t i = 0; i < in.size(); ++i) views_in_[i] = view(in_types[i], in[i].p, rows);
    for (std::size_t i = 0; i < out.size(); ++i) views_out_[i] = view(out_types[i], out[i].p, rows);
  }
  static View view(const TypeInfo& type, std::byte* data, std::int64_t rows) {
    const Dims shape = with_rows(type.shape, rows);
    return {data, type.dtype, shape, contiguous_strides(shape)};
  }

  std::int64_t rows_ = -1;
  std::vector<View> views_in_, views_out_;
};

}  // namespace densa
