// Copies between row-major matrices and panels (see panel.h). For ordinary code: kernels have their
// own.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

// Elements that a (rows, cols) matrix takes in panels.
constexpr std::int64_t panel_elements(std::int64_t rows, std::int64_t cols) {
  return rows * padded(cols);
}

// `row_stride` and `col_stride` count elements of the row-major side. Padding columns become zero.
template <class T>
void pack_panels(Panels<T> to, const T* from, std::int64_t rows, std::int64_t cols,
                 std::ptrdiff_t row_stride, std::ptrdiff_t col_stride = 1);
template <class T>
void unpack_panels(T* to, Panels<const T> from, std::int64_t rows, std::int64_t cols,
                   std::ptrdiff_t row_stride, std::ptrdiff_t col_stride = 1);

extern template void pack_panels(Panels<float>, const float*, std::int64_t, std::int64_t,
                                 std::ptrdiff_t, std::ptrdiff_t);
extern template void pack_panels(Panels<double>, const double*, std::int64_t, std::int64_t,
                                 std::ptrdiff_t, std::ptrdiff_t);
extern template void unpack_panels(float*, Panels<const float>, std::int64_t, std::int64_t,
                                   std::ptrdiff_t, std::ptrdiff_t);
extern template void unpack_panels(double*, Panels<const double>, std::int64_t, std::int64_t,
                                   std::ptrdiff_t, std::ptrdiff_t);

}  // namespace densa
