// slice and pad_slice, its gradient.
//
// begin, end and step hold one number per axis, as Python's slice.indices gives them: begin counts
// from 0, end is -1 for "down to the first one" when step is negative, kToEnd means the last one.
#include <algorithm>
#include <cstring>

#include "ops/check.h"
#include "ops/copy.h"
#include "ops/shape/shape.h"

namespace densa::shape {
namespace {

struct Cut {
  Ints begin, end, step;
};

Cut cut_of(const Attrs& attrs, int rank, const char* op, bool with_end) {
  Cut cut{attrs.get_ints("begin"), attrs.get_ints("end"), attrs.get_ints("step")};
  const auto n = static_cast<std::size_t>(rank);
  if (cut.step.empty()) cut.step.assign(n, 1);
  if (cut.begin.size() != n || cut.step.size() != n || (with_end && cut.end.size() != n))
    throw ValueError(cat(op, ": begin, end and step need one number for each of ", rank, " axes"));
  for (std::int64_t s : cut.step)
    if (s == 0) throw ValueError(cat(op, ": step 0"));
  return cut;
}

// Where axis i of size n begins and how many elements it takes.
struct Taken {
  std::int64_t begin, count;
};
Taken taken(const Cut& cut, std::size_t i, std::int64_t n) {
  const std::int64_t step = cut.step[i];
  if (step > 0) {
    const std::int64_t b = std::clamp<std::int64_t>(cut.begin[i], 0, n);
    const std::int64_t e = std::clamp<std::int64_t>(cut.end[i], b, std::max(b, n));
    return {b, (e - b + step - 1) / step};
  }
  const std::int64_t b = std::clamp<std::int64_t>(cut.begin[i], -1, n - 1);
  const std::int64_t e = std::clamp<std::int64_t>(cut.end[i], -1, b);
  return {b, (b - e - step - 1) / -step};
}

std::vector<TypeInfo> infer_slice(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "slice");
  Dims shape = in[0].shape;
  const Cut cut = cut_of(attrs, shape.rank(), "slice", true);
  for (int i = 0; i < shape.rank(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (shape[i] != kRows) {
      shape[i] = taken(cut, k, shape[i]).count;
    } else if (cut.begin[k] != 0 || cut.end[k] != kToEnd || cut.step[k] != 1) {
      throw NeedsRows("slice: a part of the batch needs to know how many rows it has");
    }
  }
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_slice(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr};
  const Dims& shape = call.in[0]->type.shape;
  const Cut cut = cut_of(call.attrs, shape.rank(), "slice", true);
  Ints begin = cut.begin;
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] != kRows)
      begin[static_cast<std::size_t>(i)] = taken(cut, static_cast<std::size_t>(i), shape[i]).begin;
  return {call.build.apply("pad_slice", {call.dy[0]},
                           {{"begin", begin}, {"step", cut.step}, {"shape", to_ints(shape)}})};
}

// Strides and first element of the part of an array with these (element) strides.
std::int64_t part(const Cut& cut, const Dims& shape, Dims& strides) {
  std::int64_t offset = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    offset += cut.begin[k] * strides[i];
    strides[i] *= cut.step[k];
  }
  return offset;
}

void eval_slice(const EvalCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  Cut cut = cut_of(call.attrs, x.shape.rank(), "slice", true);
  for (std::size_t i = 0; i < cut.begin.size(); ++i)
    cut.begin[i] = taken(cut, i, x.shape[static_cast<int>(i)]).begin;
  Dims strides = x.strides;
  const std::int64_t offset = part(cut, x.shape, strides);
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
    const auto k = static_cast<std::size_t>(i);
    if (shape[i] == kRows) {
      shape[i] = dy[i];
    } else if (dy[i] > 0) {
      const std::int64_t last = cut.begin[k] + (dy[i] - 1) * cut.step[k];
      if (cut.begin[k] < 0 || cut.begin[k] >= shape[i] || last < 0 || last >= shape[i])
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
    const auto k = static_cast<std::size_t>(i);
    const std::int64_t stop = cut.begin[k] + dy[i] * cut.step[k];
    end.push_back(dy[i] == kRows ? kToEnd : std::max<std::int64_t>(stop, -1));
  }
  return {call.build.apply("slice", {call.dy[0]},
                           {{"begin", cut.begin}, {"end", end}, {"step", cut.step}})};
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
