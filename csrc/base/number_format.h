// How numbers of an arithmetic in float32 lie in memory, or what they are rounded to.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace densa {

enum class NumberFormat : std::uint8_t {
  kFull,  // as the arithmetic: float32, in some places float64
  kBFloat16,
  kFloat16,
};

constexpr NumberFormat format_of(DType dtype) {
  return dtype == DType::kBFloat16  ? NumberFormat::kBFloat16
         : dtype == DType::kFloat16 ? NumberFormat::kFloat16
                                    : NumberFormat::kFull;
}
constexpr std::size_t bytes_of(NumberFormat format) {
  return format == NumberFormat::kFull ? sizeof(float) : sizeof(std::uint16_t);
}
// Bytes of a number while it is computed with.
inline std::size_t arithmetic_size(DType dtype) {
  return is_half(dtype) ? sizeof(float) : item_size(dtype);
}

}  // namespace densa
