#include <algorithm>

#include "base/pack.h"

namespace densa {

template <class T>
void pack_panels(Panels<T> to, const T* from, std::int64_t rows, std::int64_t cols,
                 std::ptrdiff_t row_stride, std::ptrdiff_t col_stride) {
  for (std::int64_t p = 0; p < panel_count(cols); ++p) {
    const std::int64_t first = p * kPanel;
    const std::int64_t width = std::min(kPanel, cols - first);
    T* y = to.panel(p);
    const T* x = from + first * col_stride;
    for (std::int64_t r = 0; r < rows; ++r, y += kPanel, x += row_stride) {
      if (width == kPanel && col_stride == 1) {
        std::copy_n(x, kPanel, y);
        continue;
      }
      for (std::int64_t c = 0; c < width; ++c) y[c] = x[c * col_stride];
      std::fill(y + width, y + kPanel, T{});
    }
  }
}

template <class T>
void unpack_panels(T* to, Panels<const T> from, std::int64_t rows, std::int64_t cols,
                   std::ptrdiff_t row_stride, std::ptrdiff_t col_stride) {
  for (std::int64_t p = 0; p < panel_count(cols); ++p) {
    const std::int64_t first = p * kPanel;
    const std::int64_t width = std::min(kPanel, cols - first);
    const T* x = from.panel(p);
    T* y = to + first * col_stride;
    for (std::int64_t r = 0; r < rows; ++r, x += kPanel, y += row_stride) {
      for (std::int64_t c = 0; c < width; ++c) y[c * col_stride] = x[c];
    }
  }
}

template void pack_panels(Panels<float>, const float*, std::int64_t, std::int64_t, std::ptrdiff_t,
                          std::ptrdiff_t);
template void pack_panels(Panels<double>, const double*, std::int64_t, std::int64_t, std::ptrdiff_t,
                          std::ptrdiff_t);
template void unpack_panels(float*, Panels<const float>, std::int64_t, std::int64_t, std::ptrdiff_t,
                            std::ptrdiff_t);
template void unpack_panels(double*, Panels<const double>, std::int64_t, std::int64_t,
                            std::ptrdiff_t, std::ptrdiff_t);

}  // namespace densa
