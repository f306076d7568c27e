// Forward: for each group of vectors of y, all row tiles, so that the strip of w is read from the
// near cache by every tile but the first, and the caller's activation finds y still cached.
#include "ops/dense/dense.h"
#include "ops/dense/parts.h"
#include "ops/dense/tile.h"

#define DENSA_STRING(x) #x
#define DENSA_NAME(x) DENSA_STRING(x)

namespace densa::inline DENSA_ISA {
namespace {

// The part of w that one group needs must stay in a 1 MB second-level cache.
template <class T>
inline constexpr std::int64_t kBlockIn = 16384 / sizeof(T);

template <class T>
void forward(const DenseForward<T>& a) {
  constexpr int kPerPanel = kVecsPerPanel<T>;
  constexpr std::ptrdiff_t kWide = kLanes<T>;
  const std::int64_t rows = a.row_end - a.row_begin;
  if (rows <= 0) return;
  TileArgs<T> t{};
  t.x_stride = a.x.stride;
  const std::int64_t end = a.last_panel * kPerPanel;
  int vecs = 0;
  for (std::int64_t v = a.first_panel * kPerPanel; v < end; v += vecs) {
    vecs = tile_vecs(rows, end - v);
    const RowTiles<T, Walk::kAlongColumns> tiles(rows, vecs);
    std::int64_t k = 0;
    do {  // once even for in == 0: y is then the start value
      t.count = a.in - k < kBlockIn<T> ? a.in - k : kBlockIn<T>;
      const Start start = a.accumulate || k > 0 ? Start::kResult
                          : a.b != nullptr      ? Start::kBias
                                                : Start::kZero;
      t.x = a.x.panel(k / kPanel) + a.row_begin * kPanel;
      for (int j = 0; j < vecs; ++j) {
        const std::int64_t panel = (v + j) / kPerPanel;
        const std::ptrdiff_t part = (v + j) % kPerPanel * kWide;
        t.w[j] = a.w.panel(panel) + k * kPanel + part;
        t.y[j] = a.y.panel(panel) + a.row_begin * kPanel + part;
        t.b[j] = a.b == nullptr ? nullptr : a.b + panel * kPanel + part;
      }
      tiles.run(t, kPanel, start);
      k += t.count;
    } while (k < a.in);
  }
}

}  // namespace

#define DENSA_TABLE(T)                                                              \
  {                                                                                 \
    &forward<T>, &dense_dx<T>, &dense_dw<T>, &sum_columns<T>, &transpose_panels<T>, \
        &pack_panels<T>, &unpack_panels<T>, DENSA_NAME(DENSA_ISA)                   \
  }
constinit const DenseKernels<float> dense_f32 = DENSA_TABLE(float);
constinit const DenseKernels<double> dense_f64 = DENSA_TABLE(double);

}  // namespace densa::inline DENSA_ISA
