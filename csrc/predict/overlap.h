// Whether arrays of a call share memory that an output is written to.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace densa {

// Where an array lies, as addresses; without bytes it overlaps nothing.
struct Extent {
  Extent(const void* data, std::size_t bytes)
      : begin(reinterpret_cast<std::uintptr_t>(data)), end(begin + bytes) {}
  std::uintptr_t begin, end;
};

inline bool overlap(const Extent& a, const Extent& b) {
  return std::max(a.begin, b.begin) < std::min(a.end, b.end);
}

// An output that shares memory with an input, or with an output before it.
struct Overlap {
  std::size_t output = 0, other = 0;
  bool with_input = false;
};

// The first one, if any; in(i) and out(k) are the Extents of a call's arrays.
template <class In, class Out>
std::optional<Overlap> find_overlap(std::size_t inputs, const In& in, std::size_t outputs,
                                    const Out& out) {
  for (std::size_t k = 0; k < outputs; ++k) {
    const Extent mine = out(k);
    for (std::size_t i = 0; i < inputs; ++i)
      if (overlap(mine, in(i))) return Overlap{k, i, true};
    for (std::size_t j = 0; j < k; ++j)
      if (overlap(mine, out(j))) return Overlap{k, j, false};
  }
  return std::nullopt;
}

}  // namespace densa
