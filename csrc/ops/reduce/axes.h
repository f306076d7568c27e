// Which axes an op reduces, from its attributes and shapes.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "ops/ints.h"

namespace densa::reduce {

// `axes` empty: all of them. Throws ValueError for an axis out of range or given twice.
inline std::array<bool, kMaxRank> reduced_axes(std::span<const std::int64_t> axes, int rank,
                                               std::string_view op) {
  std::array<bool, kMaxRank> reduced{};
  if (axes.empty())
    for (int i = 0; i < rank; ++i) reduced[i] = true;
  for (std::int64_t axis : axes) {
    const int i = normalize_axis(axis, rank, op);
    if (reduced[i]) throw ValueError(cat(op, ": axis ", axis, " is given twice"));
    reduced[i] = true;
  }
  return reduced;
}

// The axes along which x was stretched from `shape`.
inline std::array<bool, kMaxRank> stretched_axes(const Dims& x, const Dims& shape) {
  std::array<bool, kMaxRank> reduced{};
  const int shift = x.rank() - shape.rank();
  for (int i = 0; i < x.rank(); ++i) reduced[i] = i < shift || (shape[i - shift] == 1 && x[i] != 1);
  return reduced;
}

// argmax and argmin: x as [outer][count][inner].
struct ArgCall {
  std::int64_t outer = 1, count = 1, inner = 1;
};

inline ArgCall arg_call(const Dims& shape, const Attrs& attrs, std::string_view op) {
  ArgCall out;
  if (attrs.get_bool("flat", false)) {
    out.count = element_count(shape);
    return out;
  }
  const int axis = normalize_axis(attrs.get_int("axis", -1), shape.rank(), op);
  for (int i = 0; i < axis; ++i) out.outer *= shape[i];
  out.count = shape[axis];
  for (int i = axis + 1; i < shape.rank(); ++i) out.inner *= shape[i];
  return out;
}

}  // namespace densa::reduce
