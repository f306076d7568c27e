// The order that argsort gives, on every device.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "base/pod.h"

namespace densa {

// Whether x[i], which is `a`, comes before x[j], which is `b`. NaN is last in either direction, and
// of equal numbers the one with the lower index is first.
template <class T>
DENSA_HD bool comes_before(T a, std::int64_t i, T b, std::int64_t j, bool descending) {
  const bool none = a != a, other_none = b != b;
  if (none || other_none) return none == other_none ? i < j : other_none;
  if (a == b) return i < j;
  return descending ? a > b : a < b;
}

// Calls f(T{}) for the types that are sorted; others are cast to one that holds all their numbers.
template <class F>
void visit_sorted(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32: return f(float{});
    case DType::kFloat64: return f(double{});
    case DType::kInt32: return f(std::int32_t{});
    case DType::kInt64: return f(std::int64_t{});
    default: return f(std::uint64_t{});
  }
}

}  // namespace densa
