// Cross-entropies over classes with their gradients, and accuracy. Classes lie on the last axis.
//
//   loss_r = log sum_c e^(z_rc) - sum_c t_rc z_rc, with t_r one-hot at the label or a target row
//   (label smoothing a: t becomes t (1 - a) + a / classes); W_r = sum_c t_rc
//   dz_rc = dy_r (W_r softmax(z_r)_c - t_rc)
// The gradients are ops of their own, with rules of their own: with s = softmax(z), g upstream,
//   d(dz)/dz . g = dy W s (g - sum g s),  d(dz)/d(dy) . g = sum g dz|dy=1,
//   d(dz)/dt . g = dy (1 - a) (sum g s - g)
#include "base/threads.h"
#include "ops/check.h"
#include "ops/embedding/ids.h"
#include "ops/op.h"
#include "ops/softmax/rows.h"
#include "ops/walk.h"

namespace densa {
namespace {

constexpr const char* kSparse = "sparse_softmax_cross_entropy";
constexpr const char* kSparseGrad = "sparse_softmax_cross_entropy_grad";
constexpr const char* kDense = "softmax_cross_entropy";
constexpr const char* kDenseGrad = "softmax_cross_entropy_grad";
constexpr const char* kAccuracy = "accuracy_sparse";

// ---- shape rules ----

// Checks the scores and gives their type without the classes.
TypeInfo per_row(const TypeInfo& scores, const char* op) {
  check_floating(scores, op);
  const int rank = scores.shape.rank();
  if (rank == 0 || scores.shape.back() == 0)
    throw ShapeError(cat(op, ": needs scores of shape (..., classes) but they have shape ",
                         to_string(scores.shape)));
  return {scores.dtype, Dims(std::span(scores.shape.begin(), static_cast<std::size_t>(rank - 1)))};
}

void check_labels(const TypeInfo& scores, const TypeInfo& labels, const Dims& shape,
                  const char* op) {
  check_integer(labels, "labels", op);
  if (!(labels.shape == shape))
    throw ShapeError(cat(op, ": scores ", to_string(scores.shape), " need labels of shape ",
                         to_string(shape), " but they have shape ", to_string(labels.shape),
                         ". One-hot targets go to softmax_cross_entropy; a last axis of size 1 "
                         "goes away with reshape"));
}

void check_dy(const TypeInfo& dy, const TypeInfo& wanted, const char* op) {
  check_same_dtype(dy, wanted, op);
  check_same_shape(dy, wanted, op);
}

std::vector<TypeInfo> infer_sparse(std::span<const TypeInfo> in, const Attrs&) {
  check_inputs(in, 2, kSparse);
  const TypeInfo loss = per_row(in[0], kSparse);
  check_labels(in[0], in[1], loss.shape, kSparse);
  return {loss};
}

std::vector<TypeInfo> infer_sparse_grad(std::span<const TypeInfo> in, const Attrs&) {
  check_inputs(in, 3, kSparseGrad);
  const TypeInfo loss = per_row(in[0], kSparseGrad);
  check_labels(in[0], in[1], loss.shape, kSparseGrad);
  check_dy(in[2], loss, kSparseGrad);
  return {in[0]};
}

TypeInfo check_dense(std::span<const TypeInfo> in, const Attrs& attrs, const char* op) {
  const TypeInfo loss = per_row(in[0], op);
  check_same_dtype(in[0], in[1], op);
  check_same_shape(in[0], in[1], op);
  const double smoothing = attrs.get_double("label_smoothing", 0);
  if (!(smoothing >= 0 && smoothing <= 1))
    throw ValueError(cat(op, ": label_smoothing must be between 0 and 1 but is ", smoothing));
  return loss;
}

std::vector<TypeInfo> infer_dense(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 2, kDense);
  return {check_dense(in, attrs, kDense)};
}

std::vector<TypeInfo> infer_dense_grad(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 3, kDenseGrad);
  check_dy(in[2], check_dense(in, attrs, kDenseGrad), kDenseGrad);
  return {in[0]};
}

std::vector<TypeInfo> infer_accuracy(std::span<const TypeInfo> in, const Attrs&) {
  check_inputs(in, 2, kAccuracy);
  const TypeInfo right = per_row(in[0], kAccuracy);
  check_labels(in[0], in[1], right.shape, kAccuracy);
  return {right};
}

// ---- gradients ----

// The pieces that the rules are made of.
struct Rules {
  Builder& build;
  Value times(const Value& a, const Value& b) const { return build.apply("multiply", {a, b}); }
  Value minus(const Value& a, const Value& b) const { return build.apply("subtract", {a, b}); }
  Value sum(const Value& x, bool keep) const {
    return build.apply("sum", {x}, {{"axis", Ints{-1}}, {"keepdims", keep}});
  }
  // (...) to (..., 1)
  Value column(const Value& row) const {
    Ints shape = to_ints(row->type.shape);
    shape.push_back(1);
    return build.apply("reshape", {row}, {{"shape", shape}});
  }
  Value softmax(const Value& z) const { return build.apply("softmax", {z}, {{"axis", -1}}); }
  Value ones(const Value& like) const { return build.full(like->type, 1); }
  // s (g - sum g s)
  Value through_softmax(const Value& s, const Value& g) const {
    return times(s, minus(g, sum(times(g, s), true)));
  }
};

std::vector<Value> grad_sparse(const GradCall& call) {
  std::vector<Value> out(2);
  if (call.needs[0])
    out[0] = call.build.apply(kSparseGrad, {call.in[0], call.in[1], call.dy[0]});
  return out;
}

std::vector<Value> grad_sparse_grad(const GradCall& call) {
  const Rules rules{call.build};
  const Value &z = call.in[0], &labels = call.in[1], &dy = call.in[2], &g = call.dy[0];
  std::vector<Value> out(3);
  if (call.needs[0])
    out[0] = rules.times(rules.column(dy), rules.through_softmax(rules.softmax(z), g));
  if (call.needs[2]) {
    const Value unit = call.build.apply(kSparseGrad, {z, labels, rules.ones(dy)});
    out[2] = rules.sum(rules.times(g, unit), false);
  }
  return out;
}

std::vector<Value> grad_dense(const GradCall& call) {
  const Rules rules{call.build};
  const Value &z = call.in[0], &target = call.in[1], &dy = call.dy[0];
  std::vector<Value> out(2);
  if (call.needs[0]) out[0] = call.build.apply(kDenseGrad, {z, target, dy}, call.attrs);
  if (call.needs[1]) {
    const double factor = call.attrs.get_double("label_smoothing", 0) - 1;
    const Value scaled = rules.times(rules.column(dy), scalar_of(call.build, dy, factor));
    out[1] = rules.times(scaled, call.build.apply("log_softmax", {z}, {{"axis", -1}}));
  }
  return out;
}

std::vector<Value> grad_dense_grad(const GradCall& call) {
  const Rules rules{call.build};
  Builder& build = call.build;
  const Value &z = call.in[0], &target = call.in[1], &dy = call.in[2], &g = call.dy[0];
  const double smoothing = call.attrs.get_double("label_smoothing", 0);
  std::vector<Value> out(3);
  const Value s = call.needs[0] || call.needs[1] ? rules.softmax(z) : nullptr;
  if (call.needs[0]) {
    Value weight = rules.sum(target, true);
    if (smoothing != 0) {
      weight = rules.times(weight, scalar_of(build, z, 1 - smoothing));
      weight = build.apply("add", {weight, scalar_of(build, z, smoothing)});
    }
    out[0] = rules.times(rules.times(rules.column(dy), weight), rules.through_softmax(s, g));
  }
  if (call.needs[1]) {
    Value scaled = rules.column(dy);
    if (smoothing != 0) scaled = rules.times(scaled, scalar_of(build, z, 1 - smoothing));
    out[1] = rules.times(scaled, rules.minus(rules.sum(rules.times(g, s), true), g));
  }
  if (call.needs[2]) {
    const Value unit = build.apply(kDenseGrad, {z, target, rules.ones(dy)}, call.attrs);
    out[2] = rules.sum(rules.times(g, unit), false);
  }
  return out;
}

// ---- evaluation ----

// f(row) for every row, on several threads when there is enough work.
template <class F>
void each_row(const View& scores, const F& f) {
  const std::int64_t classes = scores.shape.back();
  const std::int64_t rows = element_count(scores.shape) / classes;
  parallel_for(rows, 1 + kParallelGrain / 8 / classes, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) f(r);
  });
}

template <class T>
void sparse(const EvalCall& call) {
  const View &scores = call.in[0], &labels = call.in[1];
  const std::int64_t classes = scores.shape.back();
  const RowMath<T> math;
  T* loss = call.out[0].as<T>();
  each_row(scores, [&](std::int64_t r) {
    const T* z = scores.as<const T>() + r * classes;
    const std::int64_t label = id_at(labels, r);
    if (label < 0 || label >= classes) {
      loss[r] = std::nan("");
      return;
    }
    const T top = math.top(z, classes);
    loss[r] = std::log(math.sum_exp(z, classes, top)) + (top - z[label]);
  });
}

template <class T>
void sparse_grad(const EvalCall& call) {
  const View &scores = call.in[0], &labels = call.in[1];
  const std::int64_t classes = scores.shape.back();
  const T* dy = call.in[2].as<const T>();
  const RowMath<T> math;
  each_row(scores, [&](std::int64_t r) {
    T* dz = call.out[0].as<T>() + r * classes;
    const std::int64_t label = id_at(labels, r);
    if (label < 0 || label >= classes) {
      std::fill(dz, dz + classes, static_cast<T>(std::nan("")));
      return;
    }
    math.softmax(dz, scores.as<const T>() + r * classes, classes);
    dz[label] -= T(1);
    for (std::int64_t c = 0; c < classes; ++c) dz[c] *= dy[r];
  });
}

// Targets after label smoothing.
template <class T>
struct Targets {
  const T* data;
  std::int64_t classes;
  T keep, even;
  explicit Targets(const EvalCall& call)
      : data(call.in[1].as<const T>()), classes(call.in[1].shape.back()) {
    const double smoothing = call.attrs.get_double("label_smoothing", 0);
    keep = static_cast<T>(1 - smoothing);
    even = static_cast<T>(smoothing / static_cast<double>(classes));
  }
  T at(std::int64_t r, std::int64_t c) const { return data[r * classes + c] * keep + even; }
};

template <class T>
void dense(const EvalCall& call) {
  const View& scores = call.in[0];
  const std::int64_t classes = scores.shape.back();
  const Targets<T> target(call);
  const RowMath<T> math;
  T* loss = call.out[0].as<T>();
  each_row(scores, [&](std::int64_t r) {
    const T* z = scores.as<const T>() + r * classes;
    const T top = math.top(z, classes);
    T weight = 0, dot = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const T t = target.at(r, c);
      weight += t;
      dot += t * (top - z[c]);
    }
    loss[r] = weight * std::log(math.sum_exp(z, classes, top)) + dot;
  });
}

template <class T>
void dense_grad(const EvalCall& call) {
  const View& scores = call.in[0];
  const std::int64_t classes = scores.shape.back();
  const Targets<T> target(call);
  const T* dy = call.in[2].as<const T>();
  const RowMath<T> math;
  each_row(scores, [&](std::int64_t r) {
    T* dz = call.out[0].as<T>() + r * classes;
    math.softmax(dz, scores.as<const T>() + r * classes, classes);
    T weight = 0;
    for (std::int64_t c = 0; c < classes; ++c) weight += target.at(r, c);
    for (std::int64_t c = 0; c < classes; ++c)
      dz[c] = dy[r] * (weight * dz[c] - target.at(r, c));
  });
}

// 1 where the first of the largest scores stands at the label. A row with a NaN is wrong.
template <class T>
void accuracy(const EvalCall& call) {
  const View &scores = call.in[0], &labels = call.in[1];
  const std::int64_t classes = scores.shape.back();
  T* right = call.out[0].as<T>();
  each_row(scores, [&](std::int64_t r) {
    const T* z = scores.as<const T>() + r * classes;
    std::int64_t best = 0;
    bool nan = z[0] != z[0];
    for (std::int64_t c = 1; c < classes; ++c) {
      nan |= z[c] != z[c];
      if (z[c] > z[best]) best = c;
    }
    right[r] = static_cast<T>(!nan && id_at(labels, r) == best);
  });
}

template <void (*kF32)(const EvalCall&), void (*kF64)(const EvalCall&)>
void by_dtype(const EvalCall& call) {
  (call.in[0].dtype == DType::kFloat64 ? kF64 : kF32)(call);
}

constexpr Op kOps[] = {
    {kSparse, &infer_sparse, &grad_sparse, &by_dtype<sparse<float>, sparse<double>>},
    {kSparseGrad, &infer_sparse_grad, &grad_sparse_grad,
     &by_dtype<sparse_grad<float>, sparse_grad<double>>},
    {kDense, &infer_dense, &grad_dense, &by_dtype<dense<float>, dense<double>>},
    {kDenseGrad, &infer_dense_grad, &grad_dense_grad,
     &by_dtype<dense_grad<float>, dense_grad<double>>},
    {kAccuracy, &infer_accuracy, nullptr, &by_dtype<accuracy<float>, accuracy<double>>},
};

}  // namespace

namespace ops {
std::span<const Op> loss();
std::span<const Op> loss() { return kOps; }
}  // namespace ops

}  // namespace densa
