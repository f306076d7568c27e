// The two products of the backward pass, on the forward pass's tile.
//
// dx: the transposed result dxT = w * dyT has w on the broadcast side, so the weights stay as they
// are; blocks of dxT are turned round in L1. dw: the reduction runs over the batch, x is broadcast.
#include "ops/dense/dense.h"
#include "ops/dense/parts.h"
#include "ops/dense/tile.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T>
inline constexpr std::int64_t kBlockOut = 16384 / sizeof(T);
template <class T>
inline constexpr std::int64_t kBlockRows = 16384 / sizeof(T);
inline constexpr std::int64_t kDxGroup = 6;  // row-panels whose results wait in L1

// Runs the tiles of `height` broadcast rows against vectors [0, vecs) given by `place(t, v, j)`.
template <class T, Walk kWalk, class Place>
DENSA_ALWAYS_INLINE void run_tiles(TileArgs<T>& t, const T* x, std::ptrdiff_t row_step,
                                   std::int64_t height, std::int64_t vecs, Start start,
                                   const Place& place) {
  int wide = 0;
  for (std::int64_t v = 0; v < vecs; v += wide) {
    wide = tile_vecs(height, vecs - v);
    for (int j = 0; j < wide; ++j) place(v + j, j);
    const RowCut cut = cut_rows(height, wide);
    t.x = x;
    for (int i = 0; i < cut.tiles; ++i) {
      const int rows = cut.height + (i < cut.tall);
      pick_tile<T, kWalk>(rows, wide)(t, start);
      t.x += rows * row_step;
      for (int j = 0; j < wide; ++j) t.y[j] += rows * kPanel;
    }
  }
}

// Moves the block dxT[16][16] to `rows` rows of a dx panel.
template <class T>
DENSA_ALWAYS_INLINE void turn_block(const T* block, T* dx, std::int64_t rows, bool add) {
  if (rows == kPanel && !add) {
    transpose16(block, kPanel, dx, kPanel);
    return;
  }
  alignas(64) T turned[kPanel * kPanel];
  transpose16(block, kPanel, turned, kPanel);
  for (std::int64_t i = 0; i < rows * kPanel; i += kLanes<T>) {
    const Vec<T> v = load(turned + i);
    store(dx + i, add ? load(dx + i) + v : v);
  }
}

// Zeroes the columns [valid, 16) of `rows` rows of one panel; NaN and inf go too.
template <class T>
void clear_padding(T* panel, std::int64_t rows, std::int64_t valid) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = valid; c < kPanel; ++c) panel[r * kPanel + c] = 0;
}

}  // namespace

template <class T>
void dense_dx(const DenseDx<T>& a) {
  constexpr int kPerPanel = kVecsPerPanel<T>;
  constexpr std::ptrdiff_t kWide = kLanes<T>;
  alignas(64) T blocks[kDxGroup][kPanel * kPanel];
  const std::int64_t row_panels = panel_count(a.rows);
  const std::int64_t row_vecs = (a.rows + kWide - 1) / kWide;
  TileArgs<T> t{};
  t.x_stride = a.w.stride;
  for (std::int64_t p = a.first_panel; p < a.last_panel; ++p) {
    const std::int64_t ks = a.in - p * kPanel < kPanel ? a.in - p * kPanel : kPanel;
    for (int q = 0; ks < kPanel && q < kDxGroup; ++q)
      for (std::int64_t i = ks * kPanel; i < kPanel * kPanel; ++i) blocks[q][i] = 0;
    std::int64_t group = 0;
    for (std::int64_t q = 0; q < row_panels; q += group) {
      // 7 panels are 4 and 3, not 6 and 1: a narrow tile has too few chains.
      group = row_panels - q <= kDxGroup ? row_panels - q : 4;
      const std::int64_t all = group * kPerPanel, rest = row_vecs - q * kPerPanel;
      const std::int64_t vecs = all < rest ? all : rest;
      std::int64_t n = 0;
      do {
        t.count = a.out - n < kBlockOut<T> ? a.out - n : kBlockOut<T>;
        run_tiles<T, Walk::kAlongColumns>(
            t, a.w.panel(n / kPanel) + p * kPanel * kPanel, kPanel, ks, vecs,
            n > 0 ? Start::kResult : Start::kZero, [&](std::int64_t v, int j) {
              const std::int64_t panel = v / kPerPanel;
              const std::ptrdiff_t part = v % kPerPanel * kWide;
              t.w[j] = a.dyT.panel(q + panel) + n * kPanel + part;
              t.y[j] = blocks[panel] + part;
            });
        n += t.count;
      } while (n < a.out);
      for (std::int64_t i = 0; i < group; ++i) {
        const std::int64_t row = (q + i) * kPanel;
        turn_block(blocks[i], a.dx.panel(p) + row * kPanel,
                   a.rows - row < kPanel ? a.rows - row : kPanel, a.add);
      }
    }
  }
}

template <class T>
void dense_dw(const DenseDw<T>& a) {
  constexpr int kPerPanel = kVecsPerPanel<T>;
  constexpr std::ptrdiff_t kWide = kLanes<T>;
  constexpr std::int64_t kStep = kPerPanel == 1 ? 2 : 1;  // panels per pass over x
  TileArgs<T> t{};
  std::int64_t panels = 0;
  for (std::int64_t p = a.first_panel; p < a.last_panel; p += panels) {
    const std::int64_t left = a.last_panel - p;
    panels = left == kStep + 1 && kPerPanel == 1 ? left : left < kStep ? left : kStep;
    std::int64_t r = 0;
    do {
      t.count = a.rows - r < kBlockRows<T> ? a.rows - r : kBlockRows<T>;
      for (std::int64_t k = a.k_begin; k < a.k_end; k += kPanel) {
        run_tiles<T, Walk::kAlongRows>(
            t, a.x.panel(k / kPanel) + r * kPanel, 1, a.k_end - k < kPanel ? a.k_end - k : kPanel,
            panels * kPerPanel, a.add || r > 0 ? Start::kResult : Start::kZero,
            [&](std::int64_t v, int j) {
              const std::int64_t panel = p + v / kPerPanel;
              const std::ptrdiff_t part = v % kPerPanel * kWide;
              t.w[j] = a.dy.panel(panel) + r * kPanel + part;
              t.y[j] = a.dw.panel(panel - a.first_panel) + (k - a.k_begin) * kPanel + part;
            });
      }
      r += t.count;
    } while (r < a.rows);
  }
  const std::int64_t full = a.out / kPanel;
  if (a.last_panel > full && full >= a.first_panel)
    clear_padding(a.dw.panel(full - a.first_panel), a.k_end - a.k_begin, a.out % kPanel);
}

template void dense_dx<float>(const DenseDx<float>&);
template void dense_dx<double>(const DenseDx<double>&);
template void dense_dw<float>(const DenseDw<float>&);
template void dense_dw<double>(const DenseDw<double>&);

}  // namespace densa::inline DENSA_ISA
