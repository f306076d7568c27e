// Ops on float16 and bfloat16: float32 between two casts.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tensor/builder.h"
#include "tensor/half.h"

namespace densa {
namespace {

const Op& cast_op() {
  static const Op& op = find_op("cast");
  return op;
}

// Ops that multiply matrices, which GPUs do with operands of 16 bits.
bool is_product(const Op& op) {
  static const Op* const products[] = {&find_op("dense"), &find_op("matmul")};
  return std::find(std::begin(products), std::end(products), &op) != std::end(products);
}

bool is_half_value(const Value& value) { return is_half(value->type.dtype); }
bool is_wide_value(const Value& value) {
  return is_floating(value->type.dtype) && !is_half_value(value);
}

// What the attribute `dtype` says that an op makes, where it has one.
std::optional<DType> asked_for(const Attrs& attrs) {
  if (!attrs.has("dtype")) return std::nullopt;
  return dtype_from_name(attrs.get_string("dtype", ""));
}

}  // namespace

void check_writes(const Op& op, std::span<const TypeInfo> out) {
  for (const TypeInfo& type : out)
    if (is_half(type.dtype) && !op.alias && &op != &cast_op())
      throw TypeError(cat(op.name, ": cannot write ", dtype_name(type.dtype), to_string(type.shape),
                          "; make it in float32 and cast that"));
}

std::vector<Value> TensorBuilder::apply_op(const Op& op, std::span<const Value> in,
                                           const Attrs& attrs) {
  if (op.alias || &op == &cast_op()) return run_op(op, in, attrs);
  const auto half = std::find_if(in.begin(), in.end(), is_half_value);
  const std::optional<DType> asked = asked_for(attrs);
  const bool asks_half = asked && is_half(*asked);
  if (half == in.end() && !asks_half) return run_op(op, in, attrs);

  const auto cast_to = [&](const Value& value, DType dtype) {
    const Attrs to{{"dtype", std::string(dtype_name(dtype))}};
    return run_op(cast_op(), {&value, 1}, to)[0];
  };
  const bool widens = std::any_of(in.begin(), in.end(), is_wide_value);
  const DType made = asked ? *asked : widens ? DType::kFloat32 : (*half)->type.dtype;
  std::vector<Value> wide(in.begin(), in.end());
  for (Value& value : wide)
    if (is_half_value(value)) value = cast_to(value, DType::kFloat32);
  Attrs wide_attrs = attrs;
  if (asks_half) wide_attrs.set("dtype", std::string("float32"));
  if (half != in.end() && is_product(op) && std::all_of(in.begin(), in.end(), is_half_value))
    wide_attrs.set("precision", std::string(dtype_name((*half)->type.dtype)));
  std::vector<Value> out = run_op(op, wide, wide_attrs);
  if (!is_half(made)) return out;
  for (Value& value : out)
    if (value->type.dtype == DType::kFloat32) value = cast_to(value, made);
  return out;
}

}  // namespace densa
