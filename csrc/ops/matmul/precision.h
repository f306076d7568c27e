// The attribute `precision` of products: "float16" or "bfloat16" says that all operands, though
// stored in float32, are numbers of that type. Their products are then exact in float32, and a GPU
// may take the units that multiply 16 bits. Sums are float32 either way.
#pragma once
#include <string>

#include "ops/op.h"

namespace densa::ops {

inline std::string precision_name(const Attrs& attrs) { return attrs.get_string("precision", ""); }

inline void check_precision(const Attrs& attrs, const char* op) {
  const std::string name = precision_name(attrs);
  if (!name.empty() && !is_half(dtype_from_name(name)))
    throw ValueError(cat(op, ": precision must be float16 or bfloat16, got ", name));
}

// The attributes of a product that multiplies in the same precision.
inline Attrs precision_of(const Attrs& attrs) {
  Attrs out;
  if (const std::string name = precision_name(attrs); !name.empty()) out.set("precision", name);
  return out;
}

// dy as an operand of a product in the precision of the call.
inline Value rounded_for_product(const GradCall& call, const Value& dy) {
  const std::string name = precision_name(call.attrs);
  return name.empty() ? dy : call.build.apply("round_" + name, {dy});
}

}  // namespace densa::ops
