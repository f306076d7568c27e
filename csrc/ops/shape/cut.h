// Reading the attributes of transpose, slice and pad_slice: the same on every device.
//
// begin, end and step hold one number per axis, as Python's slice.indices gives them: begin counts
// from 0, end is -1 for "down to the first one" when step is negative, kToEnd means the last one.
#pragma once
#include <algorithm>
#include <array>

#include "ops/ints.h"

namespace densa::shape {

inline Dims permutation(const Attrs& attrs, int rank) {
  const auto given = ints_of(attrs, "perm");
  Dims perm;
  if (given.empty())
    for (int i = rank - 1; i >= 0; --i) perm.push_back(i);
  std::array<bool, kMaxRank> seen{};
  for (std::int64_t axis : given) {
    const int i = normalize_axis(axis, rank, "transpose");
    if (seen[i]) throw ValueError(cat("transpose: axis ", axis, " is given twice"));
    seen[i] = true;
    perm.push_back(i);
  }
  if (perm.rank() != rank)
    throw ValueError(
        cat("transpose: ", perm.rank(), " axes are given for an array of rank ", rank));
  return perm;
}

struct Cut {
  Dims begin, end, step;
};

inline Cut cut_of(const Attrs& attrs, int rank, const char* op, bool with_end) {
  Cut cut{Dims(ints_of(attrs, "begin")), Dims(ints_of(attrs, "end")), Dims(ints_of(attrs, "step"))};
  if (cut.step.empty())
    for (int i = 0; i < rank; ++i) cut.step.push_back(1);
  if (cut.begin.rank() != rank || cut.step.rank() != rank || (with_end && cut.end.rank() != rank))
    throw ValueError(cat(op, ": begin, end and step need one number for each of ", rank, " axes"));
  for (std::int64_t s : cut.step)
    if (s == 0) throw ValueError(cat(op, ": step 0"));
  return cut;
}

// Where axis i of size n begins and how many elements it takes.
struct Taken {
  std::int64_t begin, count;
};
inline Taken taken(const Cut& cut, int i, std::int64_t n) {
  const std::int64_t step = cut.step[i];  // may be any number but 0
  if (step > 0) {
    const std::int64_t b = std::clamp<std::int64_t>(cut.begin[i], 0, n);
    const std::int64_t e = std::clamp<std::int64_t>(cut.end[i], b, std::max(b, n));
    return {b, e > b ? (e - b - 1) / step + 1 : 0};
  }
  const std::int64_t b = std::clamp<std::int64_t>(cut.begin[i], -1, n - 1);
  const std::int64_t e = std::clamp<std::int64_t>(cut.end[i], -1, b);
  return {b, b > e ? (e - b + 1) / step + 1 : 0};
}

// Strides and first element of the part of an array with these (element) strides.
inline std::int64_t part(const Cut& cut, const Dims& shape, Dims& strides) {
  std::int64_t offset = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    offset += cut.begin[i] * strides[i];
    strides[i] *= std::clamp(cut.step[i], -shape[i], shape[i]);  // a longer step is never taken
  }
  return offset;
}

// slice's part of x: its strides, and the offset of its first element.
inline std::int64_t sliced(const View& x, const Attrs& attrs, Dims& strides) {
  Cut cut = cut_of(attrs, x.shape.rank(), "slice", true);
  for (int i = 0; i < cut.begin.rank(); ++i) cut.begin[i] = taken(cut, i, x.shape[i]).begin;
  strides = x.strides;
  return part(cut, x.shape, strides);
}

}  // namespace densa::shape
