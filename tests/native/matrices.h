// Memory for kernel tests: of exact size, so that ASan sees a read or write past the end, and with
// canaries for builds without it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>

#include "base/panel.h"

namespace densa {

template <class T>
struct Exact {  // n elements, not one more
  explicit Exact(std::int64_t n) : size(n), data(new T[static_cast<std::size_t>(n)]) {}
  T& operator[](std::int64_t i) { return data[static_cast<std::size_t>(i)]; }
  T operator[](std::int64_t i) const { return data[static_cast<std::size_t>(i)]; }
  T* get() const { return data.get(); }
  std::int64_t size;
  std::unique_ptr<T[]> data;
};

template <class T>
Exact<T> filled(std::int64_t n, T value) {
  Exact<T> out(n);
  std::fill_n(out.get(), n, value);
  return out;
}

// One form of memory: rows * cols elements row-major, with a canary behind them unless it would
// hide a read past the end from ASan, or panels with rows to spare, which are a canary too.
template <class T>
struct Matrix {
  Matrix(std::int64_t rows, std::int64_t cols, bool panels, bool canary = true)
      : rows(rows),
        cols(cols),
        panels(panels),
        stride((rows + 3) * kPanel),
        data(filled<T>(panels ? panel_count(cols) * stride : rows * cols + (canary ? kCanary : 0),
                       kGarbage)) {}
  static constexpr T kGarbage = T(-77);
  static constexpr std::int64_t kCanary = 16;
  Rows<T> view() const {
    return panels ? Rows<T>{data.get(), kPanel, stride} : Rows<T>{data.get(), cols, kPanel};
  }
  Panels<T> as_panels() const { return {data.get(), stride}; }
  Rows<const T> read() const { return {view().data, view().row, view().group}; }
  T& at(std::int64_t r, std::int64_t c) { return view().at(r, c / kPanel)[c % kPanel]; }
  bool padding_is(T value) const {
    for (std::int64_t r = 0; panels && r < rows; ++r)
      for (std::int64_t c = cols; c < padded(cols); ++c)
        if (view().at(r, c / kPanel)[c % kPanel] != value) return false;
    return true;
  }
  bool intact() const {
    if (!panels) return std::all_of(data.get() + rows * cols, data.get() + data.size, garbage);
    for (std::int64_t p = 0; p < panel_count(cols); ++p)
      if (!std::all_of(data.get() + p * stride + rows * kPanel, data.get() + (p + 1) * stride,
                       garbage))
        return false;
    return true;
  }
  static bool garbage(T x) { return x == kGarbage; }

  std::int64_t rows, cols;
  bool panels;
  std::ptrdiff_t stride;
  Exact<T> data;
};

template <class T>
bool same(T a, T b) {
  return a == b || (a != a && b != b);
}

}  // namespace densa
