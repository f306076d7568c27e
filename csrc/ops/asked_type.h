// The type that ops without a typed input make: they are told by the attribute `dtype`.
#pragma once
#include <string_view>

#include "ops/op.h"

namespace densa {

// Not one of 16 bits, which no kernel but the cast's writes: TensorBuilder::apply_op makes float32
// and has it rounded. Throws TypeError naming the op.
inline DType asked_type(const Attrs& attrs, std::string_view op) {
  const DType dtype = dtype_from_name(attrs.get_string("dtype", "float32"));
  if (is_half(dtype))
    throw TypeError(
        cat(op, ": cannot write ", dtype_name(dtype), "; make it in float32 and cast that"));
  return dtype;
}

}  // namespace densa
