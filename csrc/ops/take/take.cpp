// take(x, ids 1-D) along an axis, take_along (ids of x's rank, for each line its own), their
// gradients take_grad and take_along_grad (scatter-adds), and one_hot.
//
// A negative id counts from the end. An id outside the axis is an IndexError before anything is
// written. The gradients add in the order of the ids, so equal ids give the same bits on any number
// of threads.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "ops/asked_type.h"
#include "ops/check.h"
#include "ops/embedding/ids.h"
#include "ops/take/split.h"
#include "ops/walk.h"

namespace densa {
namespace {

void check_ids(const View& ids, std::int64_t size, const char* op) {
  for (std::int64_t i = 0, n = element_count(ids.shape); i < n; ++i) {
    const std::int64_t id = id_at(ids, i);
    const bool huge = id < 0 && ids.dtype == DType::kUInt64;  // beyond int64
    if (huge || id < -size || id >= size) throw_out_of_bounds(op, id_text(ids, i), size);
  }
}

std::vector<TypeInfo> infer_take(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 2, "take");
  check_integer(in[1], "ids", "take");
  if (in[1].shape.rank() != 1)
    throw ShapeError(cat("take: ids must have one axis but have shape ", to_string(in[1].shape)));
  const int axis = axis_of(in[0].shape, attrs, "take");
  Dims shape = in[0].shape;
  if (is_open(shape[axis]))
    throw NeedsRows("take: a choice of rows of the batch needs to know how many there are");
  shape[axis] = in[1].shape[0];
  if (axis != 0 && is_open(shape[axis]))
    throw NeedsRows("take: one id per row of the batch makes the rows the last axis");
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_take(const GradCall& call) {
  std::vector<Value> out(2);
  const TypeInfo& x = call.in[0]->type;
  if (call.dy[0] == nullptr || !call.needs[0] || !is_floating(x.dtype)) return out;
  const std::int64_t axis = axis_of(x.shape, call.attrs, "take");
  out[0] = call.build.apply("take_grad", {call.dy[0], call.in[1]},
                            {{"axis", axis}, {"size", x.shape[static_cast<int>(axis)]}});
  return out;
}

void eval_take(const EvalCall& call) {
  const View &x = call.in[0], &ids = call.in[1];
  const Split split(x.shape, axis_of(x.shape, call.attrs, "take"));
  check_ids(ids, split.size, "take");
  const auto item = static_cast<std::int64_t>(item_size(x.dtype));
  const std::int64_t bytes = split.inner * item, count = element_count(ids.shape);
  const auto* from = x.as<const std::byte>();
  auto* to = call.out[0].as<std::byte>();
  if (bytes == 0) return;
  parallel_for(split.outer * count, 1 + kParallelGrain / split.inner,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t id = id_at(ids, i % count);
                   const std::int64_t row = i / count * split.size + id + (id < 0) * split.size;
                   std::memcpy(to + i * bytes, from + row * bytes, static_cast<std::size_t>(bytes));
                 }
               });
}

std::vector<TypeInfo> infer_grad(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 2, "take_grad");
  check_floating(in[0], "take_grad");
  check_integer(in[1], "ids", "take_grad");
  Dims shape = in[0].shape;
  const int axis = axis_of(shape, attrs, "take_grad");
  if (in[1].shape.rank() != 1 || in[1].shape[0] != shape[axis])
    throw ShapeError(cat("take_grad: ids ", to_string(in[1].shape), " do not fit axis ", axis,
                         " of dy ", to_string(shape)));
  shape[axis] = attrs.get_int("size", -1);
  if (shape[axis] < 0) throw ValueError("take_grad: size must be at least 0");
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_grad(const GradCall& call) {
  std::vector<Value> out(2);
  if (call.dy[0] != nullptr && call.needs[0])
    out[0] = call.build.apply("take", {call.dy[0], call.in[1]},
                              {{"axis", call.attrs.get_int("axis", 0)}});
  return out;
}

template <class T>
void scatter(const EvalCall& call) {
  const View &dy = call.in[0], &ids = call.in[1], &dx = call.out[0];
  const Split split(dx.shape, axis_of(dx.shape, call.attrs, "take_grad"));
  check_ids(ids, split.size, "take_grad");
  const std::int64_t count = element_count(ids.shape);
  const T* from = dy.as<const T>();
  T* to = dx.as<T>();
  std::fill(to, to + element_count(dx.shape), T{0});
  if (split.inner == 0) return;
  parallel_for(split.outer, 1 + kParallelGrain / (1 + count * split.inner),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin * count; i < end * count; ++i) {
                   const std::int64_t id = id_at(ids, i % count);
                   const std::int64_t row = i / count * split.size + id + (id < 0) * split.size;
                   for (std::int64_t k = 0; k < split.inner; ++k)
                     to[row * split.inner + k] += from[i * split.inner + k];
                 }
               });
}

void eval_grad(const EvalCall& call) {
  call.out[0].dtype == DType::kFloat32 ? scatter<float>(call) : scatter<double>(call);
}

// ---- take_along: y[o, j, i] = x[o, ids[o, j, i], i] -----------------------------------------

// The shape of x or dx with `size` in place of the axis, if the shape of ids fits.
Dims along(const Dims& shape, const Dims& ids, int axis, std::int64_t size, const char* op) {
  Dims out = shape;
  bool fits = ids.rank() == shape.rank();
  for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || ids[i] == shape[i];
  if (!fits)
    throw ShapeError(cat(op, ": ids ", to_string(ids), " must have the shape ", to_string(shape),
                         " but for axis ", axis));
  out[axis] = size;
  return out;
}

std::vector<TypeInfo> infer_along(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 2, "take_along");
  check_integer(in[1], "ids", "take_along");
  const int axis = axis_of(in[0].shape, attrs, "take_along");
  if (is_open(in[0].shape[axis]))
    throw NeedsRows("take_along: a choice of rows of the batch needs to know how many there are");
  const Dims& ids = in[1].shape;
  const std::int64_t size = axis < ids.rank() ? ids[axis] : 0;
  if (is_open(size)) throw NeedsRows("take_along: ids hold the rows of the batch in that axis");
  return {{in[0].dtype, along(in[0].shape, ids, axis, size, "take_along")}};
}

std::vector<Value> grad_along(const GradCall& call) {
  std::vector<Value> out(2);
  const TypeInfo& x = call.in[0]->type;
  if (call.dy[0] == nullptr || !call.needs[0] || !is_floating(x.dtype)) return out;
  const std::int64_t axis = axis_of(x.shape, call.attrs, "take_along");
  out[0] = call.build.apply("take_along_grad", {call.dy[0], call.in[1]},
                            {{"axis", axis}, {"size", x.shape[static_cast<int>(axis)]}});
  return out;
}

template <class Word>
void gather_along(const Split& split, const View& x, const View& ids, const View& y) {
  const std::int64_t count = element_count(ids.shape);
  const std::int64_t line = count / std::max<std::int64_t>(split.outer, 1);  // of y, for each outer
  const Word* from = x.as<const Word>();
  Word* to = y.as<Word>();
  parallel_for(count, kParallelGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t id = id_at(ids, k);
      const std::int64_t row = k / line * split.size + id + (id < 0) * split.size;
      to[k] = from[row * split.inner + k % split.inner];
    }
  });
}

void eval_along(const EvalCall& call) {
  const View &x = call.in[0], &ids = call.in[1];
  const Split split(x.shape, axis_of(x.shape, call.attrs, "take_along"));
  check_ids(ids, split.size, "take_along");
  switch (item_size(x.dtype)) {
    case 1: return gather_along<std::uint8_t>(split, x, ids, call.out[0]);
    case 2: return gather_along<std::uint16_t>(split, x, ids, call.out[0]);
    case 4: return gather_along<std::uint32_t>(split, x, ids, call.out[0]);
    default: return gather_along<std::uint64_t>(split, x, ids, call.out[0]);
  }
}

std::vector<TypeInfo> infer_along_grad(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 2, "take_along_grad");
  check_floating(in[0], "take_along_grad");
  check_integer(in[1], "ids", "take_along_grad");
  check_same_shape(in[0], in[1], "take_along_grad");
  const int axis = axis_of(in[0].shape, attrs, "take_along_grad");
  const std::int64_t size = attrs.get_int("size", -1);
  if (size < 0) throw ValueError("take_along_grad: size must be at least 0");
  return {{in[0].dtype, along(in[0].shape, in[1].shape, axis, size, "take_along_grad")}};
}

std::vector<Value> grad_along_grad(const GradCall& call) {
  std::vector<Value> out(2);
  if (call.dy[0] != nullptr && call.needs[0])
    out[0] = call.build.apply("take_along", {call.dy[0], call.in[1]},
                              {{"axis", call.attrs.get_int("axis", 0)}});
  return out;
}

template <class T>
void scatter_along(const EvalCall& call) {
  const View &dy = call.in[0], &ids = call.in[1], &dx = call.out[0];
  const Split split(dx.shape, axis_of(dx.shape, call.attrs, "take_along_grad"));
  check_ids(ids, split.size, "take_along_grad");
  const std::int64_t line = element_count(ids.shape) / std::max<std::int64_t>(split.outer, 1);
  const T* from = dy.as<const T>();
  T* to = dx.as<T>();
  std::fill(to, to + element_count(dx.shape), T{0});
  parallel_for(split.outer, 1 + kParallelGrain / (1 + line),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t k = begin * line; k < end * line; ++k) {
                   const std::int64_t id = id_at(ids, k);
                   const std::int64_t row = k / line * split.size + id + (id < 0) * split.size;
                   to[row * split.inner + k % split.inner] += from[k];
                 }
               });
}

void eval_along_grad(const EvalCall& call) {
  call.out[0].dtype == DType::kFloat32 ? scatter_along<float>(call) : scatter_along<double>(call);
}

// ---- one_hot: an id outside 0 ... classes-1 gives zeros, as in Keras ----

std::vector<TypeInfo> infer_one_hot(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "one_hot");
  check_integer(in[0], "ids", "one_hot");
  const std::int64_t classes = attrs.get_int("classes", -1);
  if (classes < 0) throw ValueError(cat("one_hot: classes must be at least 0 but is ", classes));
  Dims shape = in[0].shape;
  shape.push_back(classes);
  return {{asked_type(attrs, "one_hot"), shape}};
}

void eval_one_hot(const EvalCall& call) {
  const View& y = call.out[0];
  const std::int64_t classes = y.shape.back(), count = element_count(call.in[0].shape);
  visit_dtype(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* to = y.as<T>();
    std::fill(to, to + count * classes, T(0));
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t id = id_at(call.in[0], i);
      if (id >= 0 && id < classes) to[i * classes + id] = T(1);
    }
  });
}

constexpr Op kOps[] = {
    {"take", &infer_take, &grad_take, &eval_take},
    {"take_grad", &infer_grad, &grad_grad, &eval_grad},
    {"take_along", &infer_along, &grad_along, &eval_along},
    {"take_along_grad", &infer_along_grad, &grad_along_grad, &eval_along_grad},
    {"one_hot", &infer_one_hot, nullptr, &eval_one_hot},
};

}  // namespace

namespace ops {
std::span<const Op> take();
std::span<const Op> take() { return kOps; }
}  // namespace ops

}  // namespace densa
