// Forward with block-sparse weights: a tile is some rows of x times a panel of w, or a few panels
// where rows are few, so that enough independent chains keep the multiply-add units busy. A tall
// tile of x stays in the first-level cache while all panels pass by.
#include "ops/dense/sparse.h"

#include "ops/dense/tile.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kParts = kVecsPerPanel<float>;  // vectors of a panel
constexpr auto kWide = static_cast<std::ptrdiff_t>(kLanes<float>);
constexpr int kMostRows = max_rows(kParts);

// How many panels a tile of so many rows takes.
constexpr int tile_panels(int rows) { return rows == 1 ? 4 : 2 * rows <= kMostRows ? 2 : 1; }

// The compiler would keep an offset of each row in a register that it has not.
DENSA_ALWAYS_INLINE void in_one_register(const float*& p) { __asm__("" : "+r"(p)); }

template <int kRows, int kPanels>
struct Tile {
  Vec<float> sum[kPanels][kRows][kParts];
  const float* w[kPanels];
  const std::uint32_t* index[kPanels];
  std::int64_t count[kPanels];

  DENSA_ALWAYS_INLINE void step(int j, std::int64_t s, const float* x, std::ptrdiff_t stride) {
    const std::uint32_t k = index[j][s];
    // One row in panels is one piece of memory.
    const float* xk = kRows == 1 && stride == kPanel ? x + k : x + k / kPanel * stride + k % kPanel;
    in_one_register(xk);
    const float* const ws = w[j] + s * kPanel;
    Vec<float> wv[kParts];
#pragma GCC unroll 4
    for (int v = 0; v < kParts; ++v) wv[v] = load(ws + v * kWide);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const Vec<float> xv = broadcast(xk[i * kPanel]);
#pragma GCC unroll 4
      for (int v = 0; v < kParts; ++v) sum[j][i][v] = mul_add(xv, wv[v], sum[j][i][v]);
    }
  }

  DENSA_ALWAYS_INLINE void run(const float* x, std::ptrdiff_t stride) {
    std::int64_t common = count[0];
#pragma GCC unroll 8
    for (int j = 1; j < kPanels; ++j) common = count[j] < common ? count[j] : common;
    for (std::int64_t s = 0; s < common; ++s) {
#pragma GCC unroll 8
      for (int j = 0; j < kPanels; ++j) step(j, s, x, stride);
    }
#pragma GCC unroll 8
    for (int j = 0; j < kPanels && kPanels > 1; ++j)
      for (std::int64_t s = common; s < count[j]; ++s) step(j, s, x, stride);
  }
};

template <int kRows, int kPanels>
void tile(const SparseForward& a, std::int64_t row, std::int64_t panel) {
  Tile<kRows, kPanels> t;
#pragma GCC unroll 8
  for (int j = 0; j < kPanels; ++j) {
    const std::int64_t p = panel + j, start = a.starts[p];
    t.w[j] = a.w + start * kPanel;
    t.index[j] = a.index + start;
    t.count[j] = a.starts[p + 1] - start;
#pragma GCC unroll 4
    for (int v = 0; v < kParts; ++v) {
      const Vec<float> b = a.b == nullptr ? Vec<float>{} : load(a.b + p * kPanel + v * kWide);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) t.sum[j][i][v] = b;
    }
  }
  const float* const x = a.x.data + row * kPanel;
  if (kRows == 1 && a.x.stride == kPanel) {
    t.run(x, kPanel);
  } else {
    t.run(x, a.x.stride);
  }
#pragma GCC unroll 8
  for (int j = 0; j < kPanels; ++j) {
    float* const y = a.y.panel(panel + j) + row * kPanel;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < kParts; ++v) store(y + i * kPanel + v * kWide, t.sum[j][i][v]);
    }
  }
}

// All panels of kRows rows.
template <int kRows>
void strip(const SparseForward& a, std::int64_t row) {
  constexpr int kPanels = tile_panels(kRows);
  std::int64_t p = a.first_panel;
  for (; p + kPanels <= a.last_panel; p += kPanels) tile<kRows, kPanels>(a, row, p);
  for (; p < a.last_panel; ++p) tile<kRows, 1>(a, row, p);
}

template <int kRows = kMostRows>
DENSA_ALWAYS_INLINE void run_strip(const SparseForward& a, std::int64_t row, std::int64_t rows) {
  if constexpr (kRows == 1) {
    strip<1>(a, row);
  } else {
    rows == kRows ? strip<kRows>(a, row) : run_strip<kRows - 1>(a, row, rows);
  }
}

// Rows are cut into the fewest strips, of equal height but for one row.
void forward(const SparseForward& a) {
  const std::int64_t strips = (a.rows + kMostRows - 1) / kMostRows;
  for (std::int64_t i = 0, row = 0; i < strips; ++i) {
    const std::int64_t end = a.rows * (i + 1) / strips;
    run_strip(a, row, end - row);
    row = end;
  }
}

}  // namespace

extern const SparseKernels sparse_f32;
constinit const SparseKernels sparse_f32 = {&forward};

}  // namespace densa::inline DENSA_ISA
