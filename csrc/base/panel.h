// Panel layout: a matrix (rows, cols) stored as [ceil(cols/16)][rows][16]; padding columns are zero.
// Weights, activations, gradients and optimizer state share it, so nothing is packed per call.
#pragma once
#include <cstddef>
#include <cstdint>

namespace densa {

inline constexpr std::int64_t kPanel = 16;

constexpr std::int64_t panel_count(std::int64_t cols) { return (cols + kPanel - 1) / kPanel; }
constexpr std::int64_t padded(std::int64_t n) { return panel_count(n) * kPanel; }

// Panel p starts at data + p * stride; element (r, c) is data[(c / 16) * stride + r * 16 + c % 16].
// `stride` is capacity_rows * 16: a partial batch uses the first rows of each panel.
template <class T>
struct Panels {
  T* data = nullptr;
  std::ptrdiff_t stride = 0;
  constexpr T* panel(std::int64_t p) const { return data + p * stride; }
};

}  // namespace densa
