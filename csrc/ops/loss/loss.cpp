// Softmax cross-entropy against probabilities or class numbers, their gradients, and accuracy.
#include "ops/loss/loss.h"

#include <algorithm>

#include "ops/check.h"
#include "ops/loss/labels.h"
#include "ops/walk.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(LossTable, loss_kernels)

const LossTable& loss_table() { return *pick_loss_kernels(); }

namespace {

constexpr char kDense[] = "softmax_cross_entropy";
constexpr char kSparse[] = "sparse_softmax_cross_entropy";
constexpr char kDenseGrad[] = "softmax_cross_entropy_grad";
constexpr char kSparseGrad[] = "sparse_softmax_cross_entropy_grad";

Dims per_row(const Dims& logits, const char* op) {
  if (logits.empty() || logits.back() == 0)
    throw ShapeError(cat(op, ": logits ", to_string(logits), " need a last axis of classes"));
  Dims rows;
  for (int i = 0; i + 1 < logits.rank(); ++i) rows.push_back(logits[i]);
  return rows;
}

void check_labels(const TypeInfo& labels, const Dims& rows, const char* op) {
  check_integer(labels, "labels", op);
  if (!(labels.shape == rows))
    throw ShapeError(cat(op, ": labels have shape ", to_string(labels.shape),
                         " but the rows of the logits ask for ", to_string(rows),
                         ". Give one class number per row"));
}

double smoothing_of(const Attrs& attrs) {
  const double smoothing = attrs.get_double("label_smoothing", 0);
  if (!(smoothing >= 0 && smoothing <= 1))
    throw ValueError(cat(kDense, ": label_smoothing must lie in [0, 1] but is ", smoothing));
  return smoothing;
}

// ---- shape rules ----

template <bool kIsSparse, bool kIsGrad>
std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  const char* op = kIsSparse ? (kIsGrad ? kSparseGrad : kSparse) : (kIsGrad ? kDenseGrad : kDense);
  check_inputs(in, kIsGrad ? 3 : 2, op);
  check_floating(in[0], op);
  const Dims rows = per_row(in[0].shape, op);
  if (kIsSparse) {
    check_labels(in[1], rows, op);
  } else {
    check_same_dtype(in[0], in[1], op);
    check_same_shape(in[0], in[1], op);
    smoothing_of(attrs);
  }
  if (!kIsGrad) return {{in[0].dtype, rows}};
  check_same_dtype(in[0], in[2], op);
  if (!(in[2].shape == rows))
    throw ShapeError(
        cat(op, ": dy has shape ", to_string(in[2].shape), " but must have ", to_string(rows)));
  return {in[0]};
}

// ---- gradients ----

struct Terms {        // in the shape of the logits, or with a last axis of 1
  Value p, t, total;  // softmax, target after smoothing, its sum per row; null total: it is 1
};

Attrs last_axis(const Value& x) {
  return {{"axis", Ints{x->type.shape.rank() - 1}}, {"keepdims", true}};
}

Value widen(Builder& build, const Value& per_row) {
  Ints shape = to_ints(per_row->type.shape);
  shape.push_back(1);
  return build.apply("reshape", {per_row}, {{"shape", shape}});
}

template <bool kIsSparse>
Terms terms(const GradCall& call) {
  Builder& build = call.build;
  const Value& x = call.in[0];
  Terms out;
  out.p = build.apply("softmax", {x});
  if constexpr (kIsSparse) {
    out.t = build.apply(
        "one_hot", {call.in[1]},
        {{"classes", x->type.shape.back()}, {"dtype", std::string(dtype_name(x->type.dtype))}});
  } else {
    out.t = call.in[1];
    if (const double s = smoothing_of(call.attrs); s != 0) {
      const Value kept = build.apply("multiply", {out.t, scalar_of(build, x, 1 - s)});
      const double base = s / static_cast<double>(x->type.shape.back());
      out.t = build.apply("add", {kept, scalar_of(build, x, base)});
    }
    out.total = build.apply("sum", {out.t}, last_axis(x));
  }
  return out;
}

template <bool kIsSparse>
std::vector<Value> grad_loss(const GradCall& call) {
  std::vector<Value> out(2);
  const Value& dy = call.dy[0];
  if (dy == nullptr) return out;
  Builder& build = call.build;
  if (call.needs[0])
    out[0] =
        build.apply(kIsSparse ? kSparseGrad : kDenseGrad, {call.in[0], call.in[1], dy}, call.attrs);
  if (!kIsSparse && call.needs[1]) {
    const Value logs = build.apply("log_softmax", {call.in[0]});
    const Value g = build.apply("multiply", {widen(build, dy), logs});
    out[1] = build.apply("multiply", {g, scalar_of(build, logs, smoothing_of(call.attrs) - 1)});
  }
  return out;
}

// The gradient of dx = dy (p total - t) with respect to x, t and dy.
template <bool kIsSparse>
std::vector<Value> grad_grad(const GradCall& call) {
  std::vector<Value> out(3);
  const Value& g = call.dy[0];
  if (g == nullptr) return out;
  Builder& build = call.build;
  const Terms parts = terms<kIsSparse>(call);
  const Attrs last = last_axis(g);
  const auto mul = [&](const Value& a, const Value& b) { return build.apply("multiply", {a, b}); };
  const auto times_total = [&](const Value& v) {
    return parts.total == nullptr ? v : mul(v, parts.total);
  };
  const Value dy = widen(build, call.in[2]);
  if (call.needs[0]) {  // through the softmax
    const Value v = times_total(mul(g, dy));
    const Value mean = build.apply("sum", {mul(v, parts.p)}, last);
    out[0] = mul(parts.p, build.apply("subtract", {v, mean}));
  }
  if (!kIsSparse && call.needs[1]) {
    const Value mean = build.apply("sum", {mul(g, parts.p)}, last);
    const Value v = mul(dy, build.apply("subtract", {mean, g}));
    out[1] = mul(v, scalar_of(build, v, 1 - smoothing_of(call.attrs)));
  }
  if (call.needs[2]) {
    const Value slope = build.apply("subtract", {times_total(parts.p), parts.t});
    const Attrs drop{{"axis", Ints{g->type.shape.rank() - 1}}};
    out[2] = build.apply("sum", {mul(g, slope)}, drop);
  }
  return out;
}

// ---- evaluation ----

std::int64_t rows_in(const Dims& logits) { return element_count(logits) / logits.back(); }

// A call is cut into a fixed number of parts, so that each has scratch of its own, whatever the
// number of threads.
std::int64_t parts_of(const Dims& logits) {
  constexpr std::int64_t kMost = 16, kElements = kParallelGrain / 8;
  const std::int64_t blocks = panel_count(rows_in(logits));
  const std::int64_t worth = std::min(element_count(logits) / kElements, std::min(kMost, blocks));
  return std::max<std::int64_t>(worth, 1);
}

template <bool kIsSparse>
std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs&) {
  const Dims& logits = in[0].shape;
  return static_cast<std::size_t>(parts_of(logits) *
                                  softmax_loss_scratch(logits.back(), kIsSparse)) *
         item_size(in[0].dtype);
}

template <class T>
Rows<const T> rows_of(const View& x) {
  return {x.as<const T>(), x.shape.back(), kPanel};
}

template <class T, bool kIsSparse, bool kIsGrad>
void eval_as(const EvalCall& call) {
  const View& x = call.in[0];
  SoftmaxLoss<T> args;
  args.z = rows_of<T>(x);
  args.classes = x.shape.back();
  if constexpr (kIsSparse) {
    args.labels = labels_of(call.in[1].data, call.in[1].dtype);
  } else {
    args.t = rows_of<T>(call.in[1]);
    args.smoothing = static_cast<T>(smoothing_of(call.attrs));
  }
  if constexpr (kIsGrad) {
    args.dy = call.in[2].as<const T>();
    args.dz = {call.out[0].as<T>(), args.classes, kPanel};
  } else {
    args.loss = call.out[0].as<T>();
  }
  const std::int64_t rows = rows_in(x.shape), parts = parts_of(x.shape);
  const std::int64_t scratch = softmax_loss_scratch(args.classes, kIsSparse);
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t blocks = panel_count(rows);
    for (std::int64_t i = begin; i < end; ++i) {
      SoftmaxLoss<T> part = args;
      part.row_begin = blocks * i / parts * kPanel;
      part.row_end = std::min(blocks * (i + 1) / parts * kPanel, rows);
      part.scratch = static_cast<T*>(call.scratch) + i * scratch;
      loss_fns<T>().softmax(part);
    }
  });
}

template <bool kIsSparse, bool kIsGrad>
void eval(const EvalCall& call) {
  if (call.in[0].dtype == DType::kFloat32) {
    eval_as<float, kIsSparse, kIsGrad>(call);
  } else {
    eval_as<double, kIsSparse, kIsGrad>(call);
  }
}

// ---- accuracy ----

std::vector<TypeInfo> infer_accuracy(std::span<const TypeInfo> in, const Attrs&) {
  check_inputs(in, 2, "accuracy_sparse");
  check_floating(in[0], "accuracy_sparse");
  const Dims rows = per_row(in[0].shape, "accuracy_sparse");
  check_labels(in[1], rows, "accuracy_sparse");
  return {{in[0].dtype, rows}};
}

template <class T>
void eval_accuracy_as(const EvalCall& call) {
  const View& x = call.in[0];
  const std::int64_t cols = x.shape.back();
  const Labels labels = labels_of(call.in[1].data, call.in[1].dtype);
  parallel_for(
      rows_in(x.shape), 1 + kParallelGrain / (8 * cols), [&](std::int64_t begin, std::int64_t end) {
        loss_fns<T>().accuracy(rows_of<T>(x), begin, end, cols, labels, call.out[0].as<T>());
      });
}

void eval_accuracy(const EvalCall& call) {
  if (call.in[0].dtype == DType::kFloat32) {
    eval_accuracy_as<float>(call);
  } else {
    eval_accuracy_as<double>(call);
  }
}

}  // namespace

namespace ops {
std::span<const Op> loss();
std::span<const Op> loss() {
  static const Op all[] = {
      {kDense, &infer<false, false>, &grad_loss<false>, &eval<false, false>, &scratch_bytes<false>},
      {kSparse, &infer<true, false>, &grad_loss<true>, &eval<true, false>, &scratch_bytes<true>},
      {kDenseGrad, &infer<false, true>, &grad_grad<false>, &eval<false, true>,
       &scratch_bytes<false>},
      {kSparseGrad, &infer<true, true>, &grad_grad<true>, &eval<true, true>, &scratch_bytes<true>},
      {"accuracy_sparse", &infer_accuracy, nullptr, &eval_accuracy},
  };
  return all;
}
}  // namespace ops

}  // namespace densa
