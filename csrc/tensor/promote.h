// Which dtype an op computes in when its inputs differ: Keras' rules.
#pragma once
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "tensor/builder.h"

namespace densa {

// A value, or a Python number: weak, it takes the dtype of the values beside it.
struct Weak {
  enum Kind : std::uint8_t { kBool, kInt, kFloat } kind;
  double number;         // kFloat, and the others as a double
  std::int64_t integer;  // kBool and kInt, exact
};
using Operand = std::variant<Value, Weak>;

DType floatx();
void set_floatx(DType dtype);

// bool < integers < floats; two floats or two integers give the wider one, int and uint of one size
// the next wider int (float for uint64).
DType promote(DType a, DType b);
// The dtype that `op` computes in for these operands.
DType result_dtype(std::span<const Operand> operands);

// Applies `op` after casting the operands to what it needs; numbers become constants.
std::vector<Value> apply_promoted(TensorBuilder& build, const Op& op,
                                  std::span<const Operand> operands, const Attrs& attrs);

// A scalar constant.
Value constant(TensorBuilder& build, const Weak& number, DType dtype);
Value cast(TensorBuilder& build, const Value& value, DType dtype);

}  // namespace densa
