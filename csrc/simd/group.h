// Group<T>: 16 lanes on every CPU level, in as many vectors as that takes. What is added up lane by
// lane in a Group has the same order of additions, so the same bits, on every level.
#pragma once

#include "base/panel.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {

template <class T>
inline constexpr std::size_t kParts = static_cast<std::size_t>(kPanel) / kLanes<T>;

template <class T>
struct Group {
  Vec<T> part[kParts<T>];
};

template <class T>
DENSA_ALWAYS_INLINE Group<T> load_group(const T* p) {
  Group<T> g;
  for (std::size_t i = 0; i < kParts<T>; ++i) g.part[i] = load(p + i * kLanes<T>);
  return g;
}
template <class T>
DENSA_ALWAYS_INLINE void store_group(T* p, const Group<T>& g) {
  for (std::size_t i = 0; i < kParts<T>; ++i) store(p + i * kLanes<T>, g.part[i]);
}
// The first n of 16 lanes, the rest `fill`.
template <class T>
DENSA_ALWAYS_INLINE Group<T> keep_lanes(const Group<T>& g, std::size_t n, T fill) {
  T all[2 * kPanel];
  for (std::size_t i = 0; i < static_cast<std::size_t>(kPanel); ++i) all[i + n] = fill;
  Group<T> out;
  for (std::size_t i = 0; i < kParts<T>; ++i) {
    const std::size_t at = i * kLanes<T>;
    if (at + kLanes<T> <= n) {
      out.part[i] = g.part[i];
    } else {
      if (at < n) store_part(all + at, g.part[i], n - at);
      out.part[i] = at < n ? load(all + at) : broadcast(fill);
    }
  }
  return out;
}
template <class T>
DENSA_ALWAYS_INLINE Group<T> load_group(const T* p, std::size_t n) {  // the rest is zero
  Group<T> g;
  for (std::size_t i = 0; i < kParts<T>; ++i) {
    const std::size_t at = i * kLanes<T>;
    g.part[i] = at + kLanes<T> <= n ? load(p + at) : load_part(p + at, at < n ? n - at : 0);
  }
  return g;
}
template <class T>
DENSA_ALWAYS_INLINE void store_group(T* p, const Group<T>& g, std::size_t n) {
  for (std::size_t i = 0; i < kParts<T>; ++i) {
    const std::size_t at = i * kLanes<T>;
    if (at + kLanes<T> <= n) {
      store(p + at, g.part[i]);
    } else if (at < n) {
      store_part(p + at, g.part[i], n - at);
    }
  }
}

template <class T, class F>
DENSA_ALWAYS_INLINE Group<T> map_group(const Group<T>& a, const F& f) {
  Group<T> g;
  for (std::size_t i = 0; i < kParts<T>; ++i) g.part[i] = f(a.part[i]);
  return g;
}
template <class T, class F>
DENSA_ALWAYS_INLINE Group<T> map_group(const Group<T>& a, const Group<T>& b, const F& f) {
  Group<T> g;
  for (std::size_t i = 0; i < kParts<T>; ++i) g.part[i] = f(a.part[i], b.part[i]);
  return g;
}
template <class T>
DENSA_ALWAYS_INLINE Group<T> fill_group(T x) {
  Group<T> g;
  for (std::size_t i = 0; i < kParts<T>; ++i) g.part[i] = broadcast(x);
  return g;
}

// All 16 lanes to one: lane i with i + 8, then i + 4, i + 2, i + 1. Fold::of takes V and scalar.
template <class Fold, class T>
DENSA_ALWAYS_INLINE T fold_group(Group<T> g) {
  for (std::size_t half = kParts<T> / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) g.part[i] = Fold::of(g.part[i], g.part[i + half]);
  return detail::fold<Fold>(g.part[0]);
}

}  // namespace densa::inline DENSA_ISA
