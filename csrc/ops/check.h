// Checks that the shape rules of ops share. Messages start with the op's name.
#pragma once
#include <span>
#include <string_view>

#include "ops/op.h"

namespace densa {

inline void check_inputs(std::span<const TypeInfo> in, std::size_t count, std::string_view op) {
  if (in.size() != count)
    throw TypeError(
        cat(op, ": expected ", count, " input", count == 1 ? "" : "s", " but got ", in.size()));
}

inline void check_floating(const TypeInfo& x, std::string_view op) {
  if (!is_floating(x.dtype))
    throw TypeError(cat(op, ": expected float32 or float64 but got ", dtype_name(x.dtype),
                        to_string(x.shape), ". Cast it first"));
}

inline void check_same_dtype(const TypeInfo& a, const TypeInfo& b, std::string_view op) {
  if (a.dtype != b.dtype)
    throw TypeError(cat(op, ": inputs must have one dtype but are ", dtype_name(a.dtype), " and ",
                        dtype_name(b.dtype), ". Cast one of them first"));
}

inline void check_integer(const TypeInfo& x, std::string_view what, std::string_view op) {
  if (!is_integer(x.dtype))
    throw TypeError(cat(op, ": ", what, " must be integers but are ", dtype_name(x.dtype)));
}

inline void check_same_shape(const TypeInfo& a, const TypeInfo& b, std::string_view op) {
  if (!(a.shape == b.shape))
    throw ShapeError(
        cat(op, ": shapes ", to_string(a.shape), " and ", to_string(b.shape), " must be equal"));
}

inline Ints to_ints(const Dims& shape) { return Ints(shape.begin(), shape.end()); }

// dy summed over what broadcasting stretched, so that it has the type of `like`.
inline Value sum_like(Builder& build, const Value& dy, const Value& like) {
  if (dy->type.shape == like->type.shape) return dy;
  return build.apply("sum_to", {dy}, {{"shape", to_ints(like->type.shape)}});
}

inline Value scalar_of(Builder& build, const Value& like, double number) {
  return build.full({like->type.dtype, {}}, number);
}

}  // namespace densa
