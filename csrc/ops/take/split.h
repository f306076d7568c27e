// What take and take_grad make of a shape and an axis, on every device.
#pragma once
#include <cstdint>
#include <string>

#include "ops/op.h"

namespace densa {

// x as [outer][size of the axis][inner].
struct Split {
  std::int64_t outer = 1, size = 1, inner = 1;
  Split(const Dims& shape, int axis) : size(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
};

inline int axis_of(const Dims& shape, const Attrs& attrs, const char* op) {
  if (shape.empty()) throw ShapeError(cat(op, ": a scalar has no axis"));
  return normalize_axis(attrs.get_int("axis", 0), shape.rank(), op);
}

[[noreturn]] inline void throw_out_of_bounds(const char* op, const std::string& text,
                                             std::int64_t size) {
  throw IndexError(cat(op, ": index ", text, " is out of bounds for an axis of size ", size));
}

}  // namespace densa
