// The register tile under every dense kernel: kRows x kVecs accumulators, one step per reduction
// index. A step broadcasts kRows numbers of one side against kVecs vectors of the other.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {

inline constexpr int kMaxVecs = 8;
template <class T>
inline constexpr int kVecsPerPanel = static_cast<int>(kPanel /
                                                      static_cast<std::int64_t>(kLanes<T>));

// How many rows a tile of `vecs` vectors may have: rows * vecs accumulators, vecs loads and one
// broadcast must fit the registers (32 with AVX-512 and Neon, 16 before; v2 needs one for
// products).
constexpr int max_rows(int vecs) {
#if DENSA_LEVEL == DENSA_LEVEL_v2
  return vecs == 1 ? 8 : vecs == 2 ? 5 : vecs == 3 ? 3 : vecs == 4 ? 2 : 1;
#elif DENSA_LEVEL == DENSA_LEVEL_v3
  return vecs == 1 ? 8 : vecs == 2 ? 6 : vecs == 3 ? 3 : vecs == 4 ? 2 : 1;
#elif DENSA_LEVEL == DENSA_LEVEL_baseline  // several broadcasts are loaded ahead
  return vecs == 1 ? 16 : vecs == 2 ? 12 : vecs == 3 ? 8 : vecs == 4 ? 5 : 2;
#else
  return vecs == 1 ? 16 : vecs == 2 ? 14 : vecs == 3 ? 9 : vecs == 4 ? 6 : 3;
#endif
}

// One tile: y[i] = start + sum over `count` steps of x[i] * w, for kRows rows i and kVecs vectors.
template <class T>
struct TileArgs {
  const T* x;               // broadcast side
  std::ptrdiff_t x_stride;  // kAlongColumns: from one 16-wide panel of x to the next
  const T* w[kMaxVecs];     // vector side: step s of vector j is at w[j] + s * 16
  T* y[kMaxVecs];           // row i of vector j is at y[j] + i * 16
  const T* b[kMaxVecs];     // start of every row of vector j; null unless the start is Start::kBias
  std::int64_t count;
};
enum class Start { kZero, kBias, kResult };

// kAlongColumns: step s broadcasts x(i, s) of a panel matrix (forward, dx).
// kAlongRows: step s broadcasts x(s, i), i within one panel (dw).
enum class Walk { kAlongColumns, kAlongRows };

// Loads v now: the compiler would read a line that is not cached yet once per multiply-add.
template <class V>
DENSA_ALWAYS_INLINE void in_register(V& v) {
#ifdef __aarch64__
  __asm__("" : "+w"(v));
#else
  __asm__("" : "+v"(v));
#endif
}

template <class T, Walk kWalk, int kRows, int kVecs>
void tile(const TileArgs<T>& a, Start start) {
  Vec<T> sum[kRows][kVecs];
  if (start == Start::kZero) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kVecs; ++j) sum[i][j] = Vec<T>{};
    }
  } else if (start == Start::kBias) {
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) {
      const Vec<T> b = load(a.b[j]);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) sum[i][j] = b;
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kVecs; ++j) sum[i][j] = load(a.y[j] + i * kPanel);
    }
  }

  constexpr std::ptrdiff_t kRowStep = kWalk == Walk::kAlongColumns ? kPanel : 1;
  constexpr std::ptrdiff_t kStep = kWalk == Walk::kAlongColumns ? 1 : kPanel;
  const T* w[kVecs];
  T* y[kVecs];
#pragma GCC unroll 8
  for (int j = 0; j < kVecs; ++j) {
    w[j] = a.w[j];
    y[j] = a.y[j];
  }
  const T* x_panel = a.x;
  std::int64_t left = a.count;
  while (left > 0) {
    const std::int64_t n = kWalk == Walk::kAlongRows || left < kPanel ? left : kPanel;
    const T* x = x_panel;
    for (std::int64_t s = 0; s < n; ++s) {
      if constexpr (kVecs > kRows) {  // wide: the broadcasts stay in registers, w passes by
        Vec<T> xv[kRows];
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) xv[i] = broadcast(x[i * kRowStep]);
#pragma GCC unroll 8
        for (int j = 0; j < kVecs; ++j) {
          Vec<T> wv = load(w[j]);
          if constexpr (kRows > 1) in_register(wv);
          w[j] += kPanel;
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) sum[i][j] = mul_add(xv[i], wv, sum[i][j]);
        }
      } else {
        Vec<T> wv[kVecs];
#pragma GCC unroll 8
        for (int j = 0; j < kVecs; ++j) {
          wv[j] = load(w[j]);
          w[j] += kPanel;
        }
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          const Vec<T> xv = broadcast(x[i * kRowStep]);
#pragma GCC unroll 8
          for (int j = 0; j < kVecs; ++j) sum[i][j] = mul_add(xv, wv[j], sum[i][j]);
        }
      }
      x += kStep;
    }
    x_panel += a.x_stride;
    left -= n;
  }

#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) store(y[j] + i * kPanel, sum[i][j]);
  }
}

template <class T>
using TileFn = void (*)(const TileArgs<T>&, Start);

// The tile of `rows` rows and `vecs` vectors; vecs is 1, 2, 3, 4 or 8, rows at most max_rows(vecs).
template <class T, Walk kWalk, int kVecs, int kRows = max_rows(kVecs)>
DENSA_ALWAYS_INLINE TileFn<T> pick_rows(int rows) {
  if constexpr (kRows == 1) {
    return &tile<T, kWalk, 1, kVecs>;
  } else {
    return rows == kRows ? &tile<T, kWalk, kRows, kVecs>
                         : pick_rows<T, kWalk, kVecs, kRows - 1>(rows);
  }
}
template <class T, Walk kWalk>
TileFn<T> pick_tile(int rows, int vecs) {
  switch (vecs) {
    case 1: return pick_rows<T, kWalk, 1>(rows);
    case 2: return pick_rows<T, kWalk, 2>(rows);
    case 3: return pick_rows<T, kWalk, 3>(rows);
    case 4: return pick_rows<T, kWalk, 4>(rows);
    default: return pick_rows<T, kWalk, 8>(rows);
  }
}

// The width of the next tile when `left` vectors and `rows` rows remain. Few rows take wide tiles,
// so that enough independent chains keep both multiply-add units busy.
constexpr int tile_vecs(std::int64_t rows, std::int64_t left) {
  if (rows <= max_rows(8) && left >= 8) return 8;
  if (rows <= max_rows(4) && left >= 4) return 4;
  if (left == 3 || (rows <= max_rows(3) && left >= 3)) return 3;
  return left >= 2 ? 2 : 1;
}

// Rows are cut into the fewest tiles, of equal height but for one row; the tiles are looked up
// once.
template <class T, Walk kWalk>
class RowTiles {
 public:
  RowTiles(std::int64_t rows, int vecs) : vecs_(vecs) {
    const int all = static_cast<int>(rows), most = max_rows(vecs);
    tiles_ = (all + most - 1) / most;
    if (tiles_ == 0) return;
    height_ = all / tiles_;
    tall_ = all % tiles_;
    if (tall_ < tiles_) low_tile_ = pick_tile<T, kWalk>(height_, vecs);
    if (tall_ > 0) tall_tile_ = pick_tile<T, kWalk>(height_ + 1, vecs);
  }
  // Runs down the rows: a.x moves on by x_step and a.y by 16 numbers per row.
  DENSA_ALWAYS_INLINE void run(TileArgs<T>& a, std::ptrdiff_t x_step, Start start) const {
    int i = 0;
    for (; i < tall_; ++i) one(tall_tile_, height_ + 1, a, x_step, start);
    for (; i < tiles_; ++i) one(low_tile_, height_, a, x_step, start);
  }

 private:
  DENSA_ALWAYS_INLINE void one(TileFn<T> tile, std::ptrdiff_t height, TileArgs<T>& a,
                               std::ptrdiff_t x_step, Start start) const {
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): set for every height that `run` asks for
    tile(a, start);
    a.x += height * x_step;
    for (int j = 0; j < vecs_; ++j) a.y[j] += height * kPanel;
  }
  int vecs_, tiles_, height_ = 0, tall_ = 0;  // the first tall_ tiles have one row more
  TileFn<T> low_tile_ = nullptr, tall_tile_ = nullptr;
};

}  // namespace densa::inline DENSA_ISA
