#include "base/dtype.h"

#include "base/error.h"

namespace densa {

std::size_t item_size(DType dtype) noexcept {
  return visit_any_dtype(dtype, [](auto zero) { return sizeof(zero); });
}

std::string_view dtype_name(DType dtype) noexcept {
  switch (dtype) {
#define DENSA_CASE(name, python, type) \
  case DType::name: return python;
    DENSA_ALL_DTYPES(DENSA_CASE)
#undef DENSA_CASE
  }
  __builtin_unreachable();
}

DType dtype_from_name(std::string_view name) {
#define DENSA_TRY(enumerator, python, type) \
  if (name == python) return DType::enumerator;
  DENSA_ALL_DTYPES(DENSA_TRY)
#undef DENSA_TRY
  std::string known;
#define DENSA_JOIN(enumerator, python, type) known += known.empty() ? python : ", " python;
  DENSA_ALL_DTYPES(DENSA_JOIN)
#undef DENSA_JOIN
  throw TypeError(cat("unknown dtype '", name, "'; known dtypes: ", known));
}

void throw_no_kernel(DType dtype) {
  throw TypeError(cat("nothing computes on ", dtype_name(dtype), "; cast to float32 first"));
}

}  // namespace densa
