// Ops on float16 and bfloat16: float32 between two casts.
#include <algorithm>

#include "tensor/builder.h"

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

}  // namespace

std::vector<Value> TensorBuilder::apply_op(const Op& op, std::span<const Value> in,
                                           const Attrs& attrs) {
  const auto half = std::find_if(in.begin(), in.end(), is_half_value);
  if (half == in.end() || op.alias || &op == &cast_op()) return run_op(op, in, attrs);

  const auto cast_to = [&](const Value& value, DType dtype) {
    const Attrs to{{"dtype", std::string(dtype_name(dtype))}};
    return run_op(cast_op(), {&value, 1}, to)[0];
  };
  const bool widens = std::any_of(in.begin(), in.end(), is_wide_value);
  const std::string name(dtype_name((*half)->type.dtype));
  std::vector<Value> wide(in.begin(), in.end());
  for (Value& value : wide)
    if (is_half_value(value)) value = cast_to(value, DType::kFloat32);
  Attrs with_precision = attrs;
  if (is_product(op) && std::all_of(in.begin(), in.end(), is_half_value))
    with_precision.set("precision", name);
  std::vector<Value> out = run_op(op, wide, with_precision);
  if (widens) return out;
  for (Value& value : out)
    if (value->type.dtype == DType::kFloat32) value = cast_to(value, dtype_from_name(name));
  return out;
}

}  // namespace densa
