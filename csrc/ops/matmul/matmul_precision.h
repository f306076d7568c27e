// How exact products of float32 must be on a GPU: the attribute `matmul_precision` that its
// evaluations of products are given.
//
//   highest  float32 as it is (the attribute is left out)
//   high     three TF32 products that together are nearly as exact
//   medium   TF32: factors of 11 bits
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ops/op.h"

namespace densa {

enum class MatmulPrecision : std::uint8_t { kHighest, kHigh, kMedium };
inline constexpr std::string_view kMatmulPrecisions[] = {"highest", "high", "medium"};
inline std::string_view name_of(MatmulPrecision precision) {
  return kMatmulPrecisions[static_cast<std::size_t>(precision)];
}

// What plans and eager ops take from now on; before anybody has set it, DENSA_CUDA_MATMUL (exact,
// tf32x3, tf32) says so. Throws ValueError where that says something else.
MatmulPrecision matmul_precision();
void set_matmul_precision(MatmulPrecision precision);
// Throws ValueError for a name that is not known.
MatmulPrecision matmul_precision_from_name(std::string_view name);

inline constexpr const char* kMatmulPrecision = "matmul_precision";
// The attributes with that of the precision.
Attrs with_matmul_precision(const Attrs& attrs, MatmulPrecision precision);

}  // namespace densa
