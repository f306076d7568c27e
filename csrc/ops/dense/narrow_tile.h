// What the kernels of narrow weights share: a tile of rows x vectors of sums, and the walk over
// tiles. A vector is kLanes<float> columns; tile.h says how many fit the registers.
#pragma once
#include "ops/dense/narrow.h"
#include "ops/dense/tile.h"
#include "simd/level.h"

namespace densa::inline DENSA_ISA {

// Bytes of x of a step: where products of bytes or bfloat16 are instructions, words as in w;
// elsewhere what they are widened to.
#if DENSA_LEVEL == DENSA_LEVEL_v4x
inline constexpr std::int64_t kXStep = 4;
#else
inline constexpr std::int64_t kXStep = 8;
#endif
inline constexpr std::int64_t kXRow = kPanel * kXStep;  // 16 steps of a row of x
inline constexpr std::int64_t kWStep = kPanel * 4;      // a step of a panel of w

// Where row r's steps begin at step 16 p.
DENSA_ALWAYS_INLINE std::int64_t x_offset(std::int64_t rows, std::int64_t p, std::int64_t r) {
  return (p * rows + r) * kXRow;
}

// The first row and vector of a tile, in terms of the whole call.
template <class Tile>
using NarrowTileFn = void (*)(const NarrowForward& a, std::int64_t row, std::int64_t vec);

// Tile::kSums vectors of sums belong to one vector of y; Tile::run<rows, vecs> computes a tile.
template <class Tile, int kVecs, int kRows = max_rows(kVecs* Tile::kSums)>
DENSA_ALWAYS_INLINE NarrowTileFn<Tile> pick_narrow(int rows) {
  if constexpr (kRows == 1) {
    return &Tile::template run<1, kVecs>;
  } else {
    return rows == kRows ? &Tile::template run<kRows, kVecs>
                         : pick_narrow<Tile, kVecs, kRows - 1>(rows);
  }
}

// Few rows take wide tiles, as in tile.h.
template <class Tile>
DENSA_ALWAYS_INLINE int narrow_vecs(std::int64_t rows, std::int64_t left) {
  constexpr int kMost = kMaxVecs / Tile::kSums, kLess = kMost / 2;
  if (rows <= max_rows(kMaxVecs) && left >= kMost) return kMost;
  if (rows <= max_rows(kMaxVecs / 2) && left >= kLess) return kLess;
  return Tile::kSums == 1 && left >= 2 ? 2 : 1;
}

template <class Tile>
NarrowTileFn<Tile> pick_narrow(int rows, int vecs) {
  constexpr int kMost = kMaxVecs / Tile::kSums, kLess = kMost / 2;
  if (vecs == kMost) return pick_narrow<Tile, kMost>(rows);
  if (vecs == kLess) return pick_narrow<Tile, kLess>(rows);
  if constexpr (Tile::kSums == 1) {
    if (vecs == 2) return pick_narrow<Tile, 2>(rows);
  }
  return pick_narrow<Tile, 1>(rows);
}

// Rows are cut into the fewest tiles, of equal height but for one row.
template <class Tile>
void narrow_forward(const NarrowForward& a) {
  constexpr int kPerPanel = kVecsPerPanel<float>;
  if (a.rows <= 0) return;
  const std::int64_t end = a.last_panel * kPerPanel;
  int vecs = 0;
  for (std::int64_t v = a.first_panel * kPerPanel; v < end; v += vecs) {
    vecs = narrow_vecs<Tile>(a.rows, end - v);
    const std::int64_t most = max_rows(vecs * Tile::kSums), tiles = (a.rows + most - 1) / most;
    const std::int64_t height = a.rows / tiles, tall = a.rows % tiles;
    const NarrowTileFn<Tile> low_tile = pick_narrow<Tile>(static_cast<int>(height), vecs);
    const NarrowTileFn<Tile> tall_tile =
        tall > 0 ? pick_narrow<Tile>(static_cast<int>(height) + 1, vecs) : low_tile;
    std::int64_t row = 0;
    for (std::int64_t i = 0; i < tall; ++i, row += height + 1) tall_tile(a, row, v);
    for (std::int64_t i = tall; i < tiles; ++i, row += height) low_tile(a, row, v);
  }
}

// Where the tile's vector j lies.
struct NarrowColumn {
  std::int64_t panel, part;  // part: first column inside of the panel
  explicit DENSA_ALWAYS_INLINE NarrowColumn(std::int64_t vec)
      : panel(vec / kVecsPerPanel<float>),
        part(vec % kVecsPerPanel<float> * static_cast<std::int64_t>(kLanes<float>)) {}
  DENSA_ALWAYS_INLINE std::int64_t column() const { return panel * kPanel + part; }
};

}  // namespace densa::inline DENSA_ISA
