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
// What one round of dx computes: up to 4 panels of dx (64 columns are tall tiles) for two
// row-panels, or the last three; the part of dyT stays in L1 meanwhile.
inline constexpr std::int64_t kDxPanels = 4;
inline constexpr std::int64_t kDxRowPanels = 3;

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

constexpr std::int64_t at_most_panel(std::int64_t n) { return n < kPanel ? n : kPanel; }

// Zeroes the columns [valid, 16) of `rows` rows of one panel; NaN and inf go too.
template <class T>
void clear_padding(T* panel, std::int64_t rows, std::int64_t valid) {
  constexpr std::int64_t kWide = kLanes<T>;
  for (std::int64_t c = valid / kWide * kWide; c < kPanel; c += kWide) {
    const std::size_t keep = static_cast<std::size_t>(c < valid ? valid - c : 0);
    for (T* row = panel + c; row < panel + rows * kPanel; row += kPanel)
      store(row, load_part(row, keep));
  }
}

}  // namespace

template <class T>
void dense_dx(const DenseDx<T>& a) {
  constexpr int kPerPanel = kVecsPerPanel<T>;
  constexpr std::ptrdiff_t kWide = kLanes<T>;
  alignas(64) T blocks[kDxRowPanels][kDxPanels * kPanel * kPanel];
  const std::int64_t row_panels = panel_count(a.rows);
  TileArgs<T> t{};
  t.x_stride = a.w.stride;
  std::int64_t panels = 0;
  for (std::int64_t p = a.first_panel; p < a.last_panel; p += panels) {
    panels = a.last_panel - p < kDxPanels ? a.last_panel - p : kDxPanels;
    const std::int64_t end = a.in < (p + panels) * kPanel ? a.in : (p + panels) * kPanel;
    const std::int64_t ks = end - p * kPanel;
    for (auto& block : blocks)  // padding columns
      for (std::int64_t i = ks * kPanel; i < panels * kPanel * kPanel; ++i) block[i] = 0;
    RowTiles<T, Walk::kAlongColumns> tiles(0, 1);
    int tiles_vecs = 0;
    std::int64_t group = 0;
    for (std::int64_t q = 0; q < row_panels; q += group) {
      const std::int64_t left = row_panels - q;
      group = kPerPanel > 1 || left == 1 ? 1 : left == 3 ? 3 : 2;
      const std::int64_t rows = a.rows - q * kPanel;
      const std::int64_t used = (rows + kWide - 1) / kWide;
      const std::int64_t vecs = used < group * kPerPanel ? used : group * kPerPanel;
      int wide = 0;
      for (std::int64_t v = 0; v < vecs; v += wide) {
        wide = tile_vecs(ks, vecs - v);
        if (wide != tiles_vecs) tiles = {ks, wide};
        tiles_vecs = wide;
        std::int64_t n = 0;
        do {
          t.count = a.out - n < kBlockOut<T> ? a.out - n : kBlockOut<T>;
          t.x = a.w.panel(n / kPanel) + p * kPanel * kPanel;
          for (int j = 0; j < wide; ++j) {
            const std::int64_t panel = (v + j) / kPerPanel;
            const std::ptrdiff_t part = (v + j) % kPerPanel * kWide;
            t.w[j] = a.dyT.panel(q + panel) + n * kPanel + part;
            t.y[j] = blocks[panel] + part;
          }
          tiles.run(t, kPanel, n > 0 ? Start::kResult : Start::kZero);
          n += t.count;
        } while (n < a.out);
      }
      for (std::int64_t i = 0; i < panels; ++i)
        for (std::int64_t j = 0; j < group; ++j)
          turn_block(blocks[j] + i * kPanel * kPanel, a.dx.panel(p + i) + (q + j) * kPanel * kPanel,
                     at_most_panel(rows - j * kPanel), a.add);
    }
  }
}

template <class T>
void dense_dw(const DenseDw<T>& a) {
  constexpr int kPerPanel = kVecsPerPanel<T>;
  constexpr std::ptrdiff_t kWide = kLanes<T>;
  using Tiles = RowTiles<T, Walk::kAlongRows>;
  const std::int64_t vecs = (a.last_panel - a.first_panel) * kPerPanel;
  const std::int64_t full = (a.k_end - a.k_begin) / kPanel, rest = (a.k_end - a.k_begin) % kPanel;
  TileArgs<T> t{};
  int wide = 0;
  for (std::int64_t v = 0; v < vecs; v += wide) {
    wide = tile_vecs(kPanel, vecs - v);
    const Tiles tiles(kPanel, wide), last(rest, wide);
    std::int64_t r = 0;
    do {
      t.count = a.rows - r < kBlockRows<T> ? a.rows - r : kBlockRows<T>;
      const Start start = a.add || r > 0 ? Start::kResult : Start::kZero;
      for (int j = 0; j < wide; ++j) {
        const std::int64_t panel = (v + j) / kPerPanel;
        const std::ptrdiff_t part = (v + j) % kPerPanel * kWide;
        t.w[j] = a.dy.panel(a.first_panel + panel) + r * kPanel + part;
        t.y[j] = a.dw.panel(panel) + part;
      }
      const T* x = a.x.panel(a.k_begin / kPanel) + r * kPanel;
      for (std::int64_t k = 0; k < full; ++k, x += a.x.stride) {
        t.x = x;
        tiles.run(t, 1, start);
      }
      t.x = x;
      last.run(t, 1, start);
      r += t.count;
    } while (r < a.rows);
  }
  const std::int64_t whole = a.out / kPanel;
  if (a.last_panel > whole && whole >= a.first_panel)
    clear_padding(a.dw.panel(whole - a.first_panel), a.k_end - a.k_begin, a.out % kPanel);
}

template void dense_dx<float>(const DenseDx<float>&);
template void dense_dx<double>(const DenseDx<double>&);
template void dense_dw<float>(const DenseDw<float>&);
template void dense_dw<double>(const DenseDw<double>&);

}  // namespace densa::inline DENSA_ISA
