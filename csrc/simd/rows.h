// Reading and writing rows of 16-lane groups (base/panel.h), and what softmax needs of a row.
#pragma once

#include "simd/group.h"
#include "simd/math.h"

namespace densa::inline DENSA_ISA {

struct AddLanes {
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return a + b;
  }
};
struct LargerLane {  // NaN wins
  template <class V>
  DENSA_ALWAYS_INLINE static V of(V a, V b) {
    return select(a != a, a, select(a > b, a, b));
  }
};

// One row of `cols` columns; lanes past the last column read as `fill`.
template <class T>
struct RowReader {
  const T* p;
  std::ptrdiff_t group;
  std::int64_t cols;

  DENSA_ALWAYS_INLINE RowReader(const Rows<const T>& x, std::int64_t r, std::int64_t n)
      : p(x.data + r * x.row), group(x.group), cols(n) {}
  DENSA_ALWAYS_INLINE std::int64_t groups() const { return panel_count(cols); }
  DENSA_ALWAYS_INLINE std::size_t width(std::int64_t g) const {
    const std::int64_t left = cols - g * kPanel;
    return static_cast<std::size_t>(left < kPanel ? left : kPanel);
  }
  DENSA_ALWAYS_INLINE Group<T> get(std::int64_t g, T fill) const {
    const T* from = p + g * group;
    const std::size_t n = width(g);
    if (n == static_cast<std::size_t>(kPanel)) return load_group(from);
    return keep_lanes(load_group(from, n), n, fill);
  }
};

// Writes group g of row r: a partial last group with zero padding where the memory is there.
template <class T>
DENSA_ALWAYS_INLINE void put(const Rows<T>& y, std::int64_t r, std::int64_t g, Group<T> value,
                             std::size_t n) {
  T* to = y.at(r, g);
  if (n == static_cast<std::size_t>(kPanel)) {
    store_group(to, value);
  } else if (y.row == kPanel) {
    store_group(to, keep_lanes(value, n, T{0}));
  } else {
    store_group(to, value, n);
  }
}

// The sum (Fold) over a row of f(group, its number), 16 lanes side by side, then folded.
template <class T, class Fold, class F>
DENSA_ALWAYS_INLINE T fold_row(std::int64_t groups, const F& f) {
  Group<T> total = f(0);
  for (std::int64_t g = 1; g < groups; ++g)
    total = map_group(total, f(g), &Fold::template of<Vec<T>>);
  return fold_group<Fold>(total);
}

template <class T>
DENSA_ALWAYS_INLINE T row_max(const RowReader<T>& x) {
  const T low = -static_cast<T>(__builtin_huge_val());
  return fold_row<T, LargerLane>(
      x.groups(), [&](std::int64_t g) __attribute__((always_inline)) { return x.get(g, low); });
}

// sum exp(x - shift); lanes past the end add exp(-inf) = 0.
template <class T>
DENSA_ALWAYS_INLINE T row_sum_exp(const RowReader<T>& x, T shift) {
  const T low = -static_cast<T>(__builtin_huge_val());
  const Vec<T> s = broadcast(shift);
  return fold_row<T, AddLanes>(
      x.groups(), [&](std::int64_t g) __attribute__((always_inline)) {
        return map_group(
            x.get(g, low), [&](Vec<T> v) __attribute__((always_inline)) { return exp(v - s); });
      });
}

}  // namespace densa::inline DENSA_ISA
