// slice and pad_slice, its gradient.
#include <algorithm>
#include <cstring>

#include "ops/check.h"
#include "ops/copy.h"
#include "ops/shape/cut.h"
#include "ops/shape/shape.h"

namespace densa::shape {
namespace {

std::vector<TypeInfo> infer_slice(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "slice");
  Dims shape = in[0].shape;
  const Cut cut = cut_of(attrs, shape.rank(), "slice", true);
  for (int i = 0; i < shape.rank(); ++i) {
    if (!is_open(shape[i])) {
      shape[i] = taken(cut, i, shape[i]).count;
    } else if (cut.begin[i] != 0 || cut.end[i] != kToEnd || cut.step[i] != 1) {
      throw NeedsRows("slice: a part of the batch needs to know how many rows it has");
    }
  }
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_slice(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr};
  const Dims& shape = call.in[0]->type.shape;
  const Cut cut = cut_of(call.attrs, shape.rank(), "slice", true);
  Dims begin = cut.begin;
  for (int i = 0; i < shape.rank(); ++i)
    if (!is_open(shape[i])) begin[i] = taken(cut, i, shape[i]).begin;
  return {call.build.apply(
      "pad_slice", {call.dy[0]},
      {{"begin", to_ints(begin)}, {"step", to_ints(cut.step)}, {"shape", to_ints(shape)}})};
}

void eval_slice(const EvalCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  Dims strides;
  const std::int64_t offset = sliced(x, call.attrs, strides);
  const auto item = static_cast<std::int64_t>(item_size(x.dtype));
  if (element_count(y.shape) == 0) return;
  copy_strided(x.dtype, y.shape, y.data, contiguous_strides(y.shape),
               x.as<const std::byte>() + offset * item, strides);
}

std::vector<TypeInfo> infer_pad(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "pad_slice");
  const Dims& dy = in[0].shape;
  Dims shape{std::span<const std::int64_t>(attrs.get_ints("shape"))};
  if (shape.rank() != dy.rank())
    throw ShapeError(cat("pad_slice: dy ", to_string(dy), " and shape ", to_string(shape),
                         " have different ranks"));
  const Cut cut = cut_of(attrs, dy.rank(), "pad_slice", false);
  for (int i = 0; i < shape.rank(); ++i) {
    if (is_open(shape[i])) {
      shape[i] = dy[i];
    } else if (dy[i] > 0) {
      const std::int64_t last = cut.begin[i] + (dy[i] - 1) * cut.step[i];
      if (cut.begin[i] < 0 || cut.begin[i] >= shape[i] || last < 0 || last >= shape[i])
        throw ShapeError(cat("pad_slice: dy ", to_string(dy), " does not fit into ",
                             to_string(shape), " in axis ", i));
    }
  }
  check_rows(shape, "pad_slice");
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_pad(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr};
  const Dims& dy = call.in[0]->type.shape;
  const Cut cut = cut_of(call.attrs, dy.rank(), "pad_slice", false);
  Ints end;
  for (int i = 0; i < dy.rank(); ++i) {
    const std::int64_t stop = cut.begin[i] + dy[i] * cut.step[i];
    end.push_back(is_open(dy[i]) ? kToEnd : std::max<std::int64_t>(stop, -1));
  }
  return {
      call.build.apply("slice", {call.dy[0]},
                       {{"begin", to_ints(cut.begin)}, {"end", end}, {"step", to_ints(cut.step)}})};
}

void eval_pad(const EvalCall& call) {
  const View &dy = call.in[0], &y = call.out[0];
  const Cut cut = cut_of(call.attrs, dy.shape.rank(), "pad_slice", false);
  const auto item = static_cast<std::int64_t>(item_size(y.dtype));
  const std::int64_t bytes = element_count(y.shape) * item;
  if (bytes > 0) std::memset(y.data, 0, static_cast<std::size_t>(bytes));
  if (element_count(dy.shape) == 0) return;
  Dims strides = contiguous_strides(y.shape);
  const std::int64_t offset = part(cut, y.shape, strides);
  copy_strided(y.dtype, dy.shape, y.as<std::byte>() + offset * item, strides, dy.data, dy.strides);
}

}  // namespace

std::vector<Op> part_ops() {
  Op slice{"slice", &infer_slice, &grad_slice, &eval_slice};
  Op pad{"pad_slice", &infer_pad, &grad_pad, &eval_pad};
  slice.any_strides = pad.any_strides = true;
  return {slice, pad};
}

}  // namespace densa::shape
