// Which row a warning about NaN and infinity names: the smallest one that steps have read, whatever
// the order of the epoch, the number of threads and the device.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>

#include "graph/span.h"

namespace densa {

// The smallest row among positions [first, last) of the epoch with a number that is not finite once
// it is a `to`, float32 or float64; -1: none. A row has `numbers` numbers.
inline std::int64_t smallest_nonfinite(const SourceArray& source, std::int64_t numbers, DType to,
                                       const std::int64_t* order, std::int64_t first,
                                       std::int64_t last) {
  const auto find = [&](auto from, auto converted) {
    using S = decltype(from);
    using T = decltype(converted);
    std::int64_t found = -1;
    for (std::int64_t at = first; at < last; ++at) {
      const std::int64_t row = order != nullptr ? order[at] : at;
      if (found >= 0 && row > found) continue;
      const auto* x = reinterpret_cast<const S*>(source.data + row * source.row_bytes);
      if (!std::all_of(x, x + numbers, [](S v) { return std::isfinite(static_cast<T>(v)); }))
        found = row;
    }
    return found;
  };
  const bool wide = to == DType::kFloat64;
  if (source.dtype == DType::kFloat32) return find(0.0f, 0.0f);
  if (source.dtype == DType::kFloat64) return wide ? find(0.0, 0.0) : find(0.0, 0.0f);
  return -1;  // integers are finite
}

// Several threads may find one.
inline void keep_smallest(std::atomic<std::int64_t>& kept, std::int64_t code) {
  std::int64_t before = kept.load(std::memory_order_relaxed);
  while ((before < 0 || code < before) && !kept.compare_exchange_weak(before, code)) {
  }
}

}  // namespace densa
