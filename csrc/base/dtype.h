// Element types. float32 and float64 have kernels; the others are stored, cast and used as indices.
// An op on float16 or bfloat16 runs in float32 and has its results rounded (tensor/builder.h).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/half.h"

namespace densa {

//          C++ name  Python name  C++ type
#define DENSA_DTYPES(X)               \
  X(kBool, "bool", bool)              \
  X(kInt8, "int8", std::int8_t)       \
  X(kInt16, "int16", std::int16_t)    \
  X(kInt32, "int32", std::int32_t)    \
  X(kInt64, "int64", std::int64_t)    \
  X(kUInt8, "uint8", std::uint8_t)    \
  X(kUInt16, "uint16", std::uint16_t) \
  X(kUInt32, "uint32", std::uint32_t) \
  X(kUInt64, "uint64", std::uint64_t) \
  X(kFloat32, "float32", float)       \
  X(kFloat64, "float64", double)
#define DENSA_HALF_DTYPES(X)      \
  X(kFloat16, "float16", float16) \
  X(kBFloat16, "bfloat16", bfloat16)
#define DENSA_ALL_DTYPES(X) DENSA_DTYPES(X) DENSA_HALF_DTYPES(X)

enum class DType : std::uint8_t {
#define DENSA_ENUM(name, python, type) name,
  DENSA_ALL_DTYPES(DENSA_ENUM)
#undef DENSA_ENUM
};

std::size_t item_size(DType dtype) noexcept;
std::string_view dtype_name(DType dtype) noexcept;  // "float32"
DType dtype_from_name(std::string_view name);       // throws TypeError for an unknown name

constexpr bool is_half(DType d) noexcept { return d == DType::kFloat16 || d == DType::kBFloat16; }
constexpr bool is_floating(DType d) noexcept {
  return d == DType::kFloat32 || d == DType::kFloat64 || is_half(d);
}
constexpr bool is_integer(DType d) noexcept { return d != DType::kBool && !is_floating(d); }

// Type to dtype: dtype_of<float> == DType::kFloat32.
template <class T>
inline constexpr DType dtype_of = DType::kBool;
#define DENSA_OF(name, python, type) \
  template <>                        \
  inline constexpr DType dtype_of<type> = DType::name;
DENSA_ALL_DTYPES(DENSA_OF)
#undef DENSA_OF

[[noreturn]] void throw_no_kernel(DType dtype);

// Calls f(T{}) with the C++ type of `dtype`; visit_dtype is for what computes, and throws TypeError
// for float16 and bfloat16.
#define DENSA_CASE(name, python, type) \
  case DType::name: return f(type{});
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    DENSA_DTYPES(DENSA_CASE)
    default: throw_no_kernel(dtype);
  }
}
template <class F>
decltype(auto) visit_any_dtype(DType dtype, F&& f) {
  switch (dtype) { DENSA_ALL_DTYPES(DENSA_CASE) }
  __builtin_unreachable();
}
#undef DENSA_CASE

}  // namespace densa
