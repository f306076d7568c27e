// reshape, transpose, broadcast_to, row_count and concatenate: what moves whole arrays.
#include "ops/shape/shape.h"

#include <cstring>
#include <utility>

#include "ops/asked_type.h"
#include "ops/check.h"
#include "ops/copy.h"
#include "ops/shape/cut.h"

namespace densa {
namespace shape {

void check_rows(const Dims& shape, std::string_view op) {
  for (int i = 1; i < shape.rank(); ++i)
    if (is_open(shape[i]))
      throw NeedsRows(cat(op, ": the result ", to_string(shape),
                          " has the rows of the batch in axis ", i,
                          "; this needs to know how many there are"));
}

namespace {

// ---- reshape --------------------------------------------------------------------------------

// As it was given: here -1 need not be the rows of a batch.
std::string target_text(const Ints& to) {
  std::string text;
  for (std::int64_t d : to) text += (text.empty() ? "" : ", ") + std::to_string(d);
  return "(" + text + (to.size() == 1 ? ",)" : ")");
}

[[noreturn]] void cannot_reshape(const Dims& from, const Ints& to) {
  throw ShapeError(cat("reshape: ", to_string(from), " cannot become ", target_text(to),
                       ": the numbers of elements differ"));
}

// Elements for one row of the batch.
std::int64_t fixed_count(const Dims& shape) { return element_count(with_rows(shape, 1)); }

// At most one -1 is free. With two, the first must stand for the rows, which x has in axis 0. Rows
// joined with the axes behind them are open, too: as many times the rows as those have elements.
Dims reshaped(const Dims& from, const Ints& to) {
  Dims out{std::span<const std::int64_t>(to)};
  check_rows(from, "reshape");
  const bool rows = !from.empty() && is_open(from[0]);
  int open = 0;
  for (int i = 0; i < out.rank(); ++i) {
    if (out[i] < -1 && !(rows && i == 0))
      throw ValueError(cat("reshape: size ", out[i], " in the target shape; sizes are >= 0 or -1"));
    open += out[i] == -1;
  }
  if (open > 2 || (open == 2 && (out[0] != -1 || from.empty())))
    throw ValueError(cat("reshape: only one size may be -1 in ", target_text(to)));
  const bool keeps_first = open == 2;
  if (keeps_first) out[0] = from[0];
  const std::int64_t total = fixed_count(from);
  if (rows && open <= 1 && !out.empty() && is_open(out[0])) {
    const std::int64_t wanted = std::exchange(out[0], kRows), each = fixed_count(out);
    if (each == 0 ? total != 0 : total % each != 0 || total == 0)
      throw NeedsRows(cat("reshape: ", to_string(from), " to ", to_string(out),
                          " mixes the rows of the batch with other axes"));
    if (each != 0) out[0] = -(total / each);
    if (wanted != kRows && wanted != out[0]) cannot_reshape(from, to);
    return out;
  }
  if (rows && !keeps_first)
    throw NeedsRows(cat("reshape: ", to_string(from), " to ", to_string(out),
                        " fixes the number of rows; begin the shape with -1"));
  int free = -1;
  for (int i = keeps_first ? 1 : 0; i < out.rank(); ++i)
    if (out[i] == -1) free = i;
  std::int64_t known = 1;
  for (int i = 0; i < out.rank(); ++i)
    if (i != free) known *= with_rows(out[i], 1);
  if (free < 0) {
    if (known != total) cannot_reshape(from, to);
    return out;
  }
  if (known == 0 || total % known != 0) cannot_reshape(from, to);
  out[free] = total / known;
  return out;
}

std::vector<TypeInfo> infer_reshape(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "reshape");
  return {{in[0].dtype, reshaped(in[0].shape, attrs.get_ints("shape"))}};
}

std::vector<Value> grad_reshape(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr};
  return {call.build.apply("reshape", {call.dy[0]}, {{"shape", to_ints(call.in[0]->type.shape)}})};
}

void eval_reshape(const EvalCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  copy_strided(x.dtype, x.shape, y.data, contiguous_strides(x.shape), x.data, x.strides);
}

// ---- stop_gradient: the same values; having no gradient rule, it ends the way back -------------

std::vector<TypeInfo> infer_stop(std::span<const TypeInfo> in, const Attrs&) {
  check_inputs(in, 1, "stop_gradient");
  return {in[0]};
}

// ---- transpose ------------------------------------------------------------------------------

std::vector<TypeInfo> infer_transpose(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "transpose");
  Dims shape;
  for (std::int64_t axis : permutation(attrs, in[0].shape.rank()))
    shape.push_back(in[0].shape[static_cast<int>(axis)]);
  check_rows(shape, "transpose");
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_transpose(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr};
  const Dims perm = permutation(call.attrs, call.in[0]->type.shape.rank());
  Ints back(static_cast<std::size_t>(perm.rank()));
  for (int i = 0; i < perm.rank(); ++i) back[static_cast<std::size_t>(perm[i])] = i;
  return {call.build.apply("transpose", {call.dy[0]}, {{"perm", back}})};
}

void eval_transpose(const EvalCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  Dims strides = y.shape;
  const Dims perm = permutation(call.attrs, x.shape.rank());
  for (int i = 0; i < perm.rank(); ++i) strides[i] = x.strides[static_cast<int>(perm[i])];
  copy_strided(x.dtype, y.shape, y.data, contiguous_strides(y.shape), x.data, strides);
}

// ---- broadcast_to ---------------------------------------------------------------------------

std::vector<TypeInfo> infer_broadcast(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "broadcast_to");
  const Dims& x = in[0].shape;
  Dims shape{std::span<const std::int64_t>(attrs.get_ints("shape"))};
  const int shift = shape.rank() - x.rank();
  bool fits = shift >= 0;
  for (int i = 0; fits && i < x.rank(); ++i) {
    std::int64_t& size = shape[i + shift];
    if (size == kRows && x[i] != 1) size = x[i];
    fits = x[i] == 1 || x[i] == size;
  }
  if (!fits)
    throw ShapeError(
        cat("broadcast_to: ", to_string(x), " does not stretch to ", to_string(shape)));
  check_rows(shape, "broadcast_to");
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_broadcast(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr};
  return {sum_like(call.build, call.dy[0], call.in[0])};
}

void eval_broadcast(const EvalCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  copy_strided(x.dtype, y.shape, y.data, contiguous_strides(y.shape), x.data,
               broadcast_strides(x, y.shape));
}

// ---- row_count ------------------------------------------------------------------------------

std::vector<TypeInfo> infer_row_count(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "row_count");
  if (in[0].shape.empty()) throw ShapeError("row_count: a scalar has no rows");
  return {{asked_type(attrs, "row_count"), {}}};
}

void eval_row_count(const EvalCall& call) {
  const std::int64_t rows = call.in[0].shape[0];
  visit_dtype(call.out[0].dtype, [&](auto zero) {
    *call.out[0].as<decltype(zero)>() = static_cast<decltype(zero)>(rows);
  });
}

// ---- concatenate ----------------------------------------------------------------------------

std::vector<TypeInfo> infer_concatenate(std::span<const TypeInfo> in, const Attrs& attrs) {
  if (in.empty()) throw ValueError("concatenate: at least one input is needed");
  const int axis = normalize_axis(attrs.get_int("axis", -1), in[0].shape.rank(), "concatenate");
  Dims shape = in[0].shape;
  for (std::size_t k = 1; k < in.size(); ++k) {
    check_same_dtype(in[0], in[k], "concatenate");
    const Dims& other = in[k].shape;
    bool fits = other.rank() == shape.rank();
    for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || other[i] == shape[i];
    if (!fits)
      throw ShapeError(cat("concatenate: shapes ", to_string(in[0].shape), " and ",
                           to_string(other), " differ outside axis ", axis));
    if (is_open(shape[axis]) || is_open(other[axis]))
      throw NeedsRows("concatenate: joining batches needs to know how many rows they have");
    shape[axis] += other[axis];
  }
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad_concatenate(const GradCall& call) {
  std::vector<Value> out(call.in.size());
  if (call.dy[0] == nullptr) return out;
  const Dims& whole = call.out[0]->type.shape;
  const int axis = normalize_axis(call.attrs.get_int("axis", -1), whole.rank(), "concatenate");
  Ints begin(static_cast<std::size_t>(whole.rank()), 0), step(begin.size(), 1), end;
  for (std::int64_t d : whole) end.push_back(is_open(d) ? kToEnd : d);
  std::int64_t at = 0;
  const auto a = static_cast<std::size_t>(axis);
  for (std::size_t k = 0; k < call.in.size(); ++k) {
    begin[a] = at;
    if (!is_open(whole[axis])) end[a] = at += call.in[k]->type.shape[axis];
    if (call.needs[k])
      out[k] =
          call.build.apply("slice", {call.dy[0]}, {{"begin", begin}, {"end", end}, {"step", step}});
  }
  return out;
}

void eval_concatenate(const EvalCall& call) {
  const View& y = call.out[0];
  const Dims strides = contiguous_strides(y.shape);
  const int axis = normalize_axis(call.attrs.get_int("axis", -1), y.shape.rank(), "concatenate");
  auto* dst = y.as<std::byte>();
  for (const View& x : call.in) {
    copy_strided(x.dtype, x.shape, dst, strides, x.data, x.strides);
    dst += x.shape[axis] * strides[axis] * static_cast<std::int64_t>(item_size(x.dtype));
  }
}

Op strided(Op op) {
  op.any_strides = true;
  return op;
}

}  // namespace

std::vector<Op> whole_ops() {
  Op reshape{"reshape", &infer_reshape, &grad_reshape, &eval_reshape};
  Op stop{"stop_gradient", &infer_stop, nullptr, &eval_reshape};
  reshape.alias = stop.alias = true;
  return {
      reshape,
      stop,
      strided({"transpose", &infer_transpose, &grad_transpose, &eval_transpose}),
      strided({"broadcast_to", &infer_broadcast, &grad_broadcast, &eval_broadcast}),
      strided({"row_count", &infer_row_count, nullptr, &eval_row_count}),
      strided({"concatenate", &infer_concatenate, &grad_concatenate, &eval_concatenate}),
  };
}

}  // namespace shape

std::span<const Op> ops::shape() {
  static const auto* const all = [] {
    auto* list = new std::vector<Op>(densa::shape::whole_ops());
    for (const Op& op : densa::shape::part_ops()) list->push_back(op);
    return list;
  }();
  return *all;
}

}  // namespace densa
