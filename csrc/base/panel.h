// Panel layout: a matrix (rows, cols) stored as [ceil(cols/16)][rows][16]; padding columns are
// zero. Weights, activations, gradients and optimizer state share it, so nothing is packed per
// call.
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

// Rows in groups of 16 columns: group g of row r starts at data + r * row + g * group. Serves
// row-major memory (row = its stride, group = 16) and panels (row = 16, group = panel stride).
// Where row is 16 the memory of a last, partial group is there and may be written: it is padding.
template <class T>
struct Rows {
  T* data = nullptr;
  std::ptrdiff_t row = 0, group = kPanel;
  constexpr T* at(std::int64_t r, std::int64_t g) const { return data + r * row + g * group; }
};
template <class T>
constexpr Rows<T> rows_of_panels(const Panels<T>& m) {
  return {m.data, kPanel, m.stride};
}

}  // namespace densa
