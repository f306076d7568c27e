// Moving matrices between row-major, panel and row-panel layout, and column sums.
#include "ops/dense/dense.h"
#include "ops/dense/parts.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr std::int64_t at_most_panel(std::int64_t n) { return n < kPanel ? n : kPanel; }

template <class T>
DENSA_ALWAYS_INLINE void copy16(T* to, const T* from) {
#pragma GCC unroll 8
  for (std::int64_t i = 0; i < kPanel; i += kLanes<T>) store(to + i, load(from + i));
}

// The leading `count` (0 to 16) of 16 numbers; the rest of `to` becomes zero.
template <class T>
DENSA_ALWAYS_INLINE void copy_padded(T* to, const T* from, std::int64_t count) {
  constexpr std::int64_t kWide = kLanes<T>;
#pragma GCC unroll 8
  for (std::int64_t i = 0; i < kPanel; i += kWide) {
    const std::int64_t n = count - i;
    store(to + i, n >= kWide ? load(from + i)
                  : n > 0    ? load_part(from + i, static_cast<std::size_t>(n))
                             : Vec<T>{});
  }
}
template <class T>
DENSA_ALWAYS_INLINE void copy_part(T* to, const T* from, std::int64_t count) {
  constexpr std::int64_t kWide = kLanes<T>;
#pragma GCC unroll 8
  for (std::int64_t i = 0; i < kPanel; i += kWide) {
    const std::int64_t n = count - i;
    if (n >= kWide) {
      store(to + i, load(from + i));
    } else if (n > 0) {
      store_part(to + i, load(from + i), static_cast<std::size_t>(n));
    }
  }
}

}  // namespace

template <class T>
void transpose_panels(const Transpose<T>& a) {
  alignas(64) T block[kPanel * kPanel], turned[kPanel * kPanel];
  for (std::int64_t p = a.first_panel; p < a.last_panel; ++p) {
    const std::int64_t cols = at_most_panel(a.cols - p * kPanel);
    for (std::int64_t r = 0; r < a.rows; r += kPanel) {
      const std::int64_t rows = at_most_panel(a.rows - r);
      const T* from = a.y.panel(p) + r * kPanel;
      T* to = a.yT.panel(r / kPanel) + p * kPanel * kPanel;
      if (rows < kPanel) {
        for (std::int64_t i = 0; i < rows; ++i) copy16(block + i * kPanel, from + i * kPanel);
        for (std::int64_t i = rows * kPanel; i < kPanel * kPanel; i += kLanes<T>)
          store(block + i, Vec<T>{});
        from = block;
      }
      if (cols == kPanel) {
        transpose16(from, kPanel, to, kPanel);
      } else {
        transpose16(from, kPanel, turned, kPanel);
        for (std::int64_t i = 0; i < cols; ++i) copy16(to + i * kPanel, turned + i * kPanel);
      }
    }
  }
}

template <class T>
void pack_panels(const Pack<T>& a) {
  for (std::int64_t r = a.row_begin; r < a.row_end; r += kPanel) {
    const std::int64_t rows = at_most_panel(a.row_end - r);
    for (std::int64_t c = 0; c < a.cols; c += kPanel) {
      const std::int64_t cols = at_most_panel(a.cols - c);
      const T* from = a.data + r * a.row_stride + c * a.col_stride;
      T* to = a.y.panel(c / kPanel) + r * kPanel;
      if (a.col_stride == 1) {
        if (cols == kPanel) {
          for (std::int64_t i = 0; i < rows; ++i) copy16(to + i * kPanel, from + i * a.row_stride);
        } else {
          for (std::int64_t i = 0; i < rows; ++i)
            copy_padded(to + i * kPanel, from + i * a.row_stride, cols);
        }
      } else if (a.row_stride == 1 && rows == kPanel && cols == kPanel) {
        transpose16(from, a.col_stride, to, kPanel);
      } else {
        for (std::int64_t i = 0; i < rows; ++i) {
          for (std::int64_t j = 0; j < cols; ++j)
            to[i * kPanel + j] = from[i * a.row_stride + j * a.col_stride];
          for (std::int64_t j = cols; j < kPanel; ++j) to[i * kPanel + j] = 0;
        }
      }
    }
  }
}

template <class T>
void unpack_panels(const Unpack<T>& a) {
  for (std::int64_t r = a.row_begin; r < a.row_end; r += kPanel) {
    const std::int64_t rows = at_most_panel(a.row_end - r);
    for (std::int64_t c = 0; c < a.cols; c += kPanel) {
      const std::int64_t cols = at_most_panel(a.cols - c);
      const T* from = a.x.panel(c / kPanel) + r * kPanel;
      T* to = a.data + r * a.row_stride + c * a.col_stride;
      if (a.col_stride == 1) {
        if (cols == kPanel) {
          for (std::int64_t i = 0; i < rows; ++i) copy16(to + i * a.row_stride, from + i * kPanel);
        } else {
          for (std::int64_t i = 0; i < rows; ++i)
            copy_part(to + i * a.row_stride, from + i * kPanel, cols);
        }
      } else if (a.row_stride == 1 && rows == kPanel && cols == kPanel) {
        transpose16(from, kPanel, to, a.col_stride);
      } else {
        for (std::int64_t i = 0; i < rows; ++i)
          for (std::int64_t j = 0; j < cols; ++j)
            to[i * a.row_stride + j * a.col_stride] = from[i * kPanel + j];
      }
    }
  }
}

// Four chains per column, rows r mod 4, joined as (0 + 1) + (2 + 3): the same on every level.
template <class T>
void sum_columns(const DenseDb<T>& a) {
  constexpr std::int64_t kWide = kLanes<T>;
  for (std::int64_t c = a.first_panel * kPanel; c < a.last_panel * kPanel; c += kWide) {
    const T* dy = a.dy.panel(c / kPanel) + c % kPanel;
    Vec<T> chain[4] = {};
    std::int64_t r = 0;
    for (; r + 4 <= a.rows; r += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) chain[i] += load(dy + (r + i) * kPanel);
    }
    for (int i = 0; r < a.rows; ++r, ++i) chain[i] += load(dy + r * kPanel);
    Vec<T> sum = (chain[0] + chain[1]) + (chain[2] + chain[3]);
    if (a.add) sum = load(a.db + c) + sum;
    store(a.db + c, sum);
  }
  const std::int64_t stop = a.last_panel * kPanel;
  for (std::int64_t c = a.out < a.first_panel * kPanel ? a.first_panel * kPanel : a.out; c < stop;
       ++c)
    a.db[c] = 0;
}

#define DENSA_INSTANCES(T)                                \
  template void transpose_panels<T>(const Transpose<T>&); \
  template void pack_panels<T>(const Pack<T>&);           \
  template void unpack_panels<T>(const Unpack<T>&);       \
  template void sum_columns<T>(const DenseDb<T>&);
DENSA_INSTANCES(float)
DENSA_INSTANCES(double)

}  // namespace densa::inline DENSA_ISA
