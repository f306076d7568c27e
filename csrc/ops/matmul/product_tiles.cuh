// Products by fused multiply-adds, for every GPU: the kernel, and how results are cut for it.
//
// A block computes a tile of y. It walks along k: while its threads multiply one tile of a and w
// out of shared memory, the next one is on its way into registers. A thread owns blocks of 4 x 4
// results, 1 x 1 or 2 x 2 of them.
#pragma once
#include "ops/matmul/product_forms.cuh"

namespace densa::inline DENSA_ISA {

template <int kRowsOfTile, int kColsOfTile, int kDepthOfTile, int kBlocksPerThread>
struct Tile {
  static constexpr int kRows = kRowsOfTile, kCols = kColsOfTile, kDepth = kDepthOfTile;
  static constexpr int kBlocks = kBlocksPerThread;  // of 4 results, along rows and along columns
  static constexpr int kThreadRows = kRows / (4 * kBlocks), kThreadCols = kCols / (4 * kBlocks);
  static constexpr int kThreads = kThreadRows * kThreadCols;
  // A warp's threads lie in a rectangle: it then reads few different elements at a time.
  static constexpr int kWarpCols = kThreadCols < 8 ? kThreadCols : 8;
  static constexpr int kWarpRows = kWarp / kWarpCols;
  static_assert(kThreads % kWarp == 0 && kThreadRows % kWarpRows == 0);
};

// Tile of one thread's results: block i lies i * stride apart, so that a warp's reads of shared
// memory are side by side.
template <class S>
struct Place {
  int row, col;
  __device__ Place() {
    const int lane = static_cast<int>(threadIdx.x) % kWarp,
              warp = static_cast<int>(threadIdx.x) / kWarp;
    constexpr int kAcross = S::kThreadCols / S::kWarpCols;
    row = (warp / kAcross * S::kWarpRows + lane / S::kWarpCols) * 4;
    col = (warp % kAcross * S::kWarpCols + lane % S::kWarpCols) * 4;
  }
  __device__ int row_of(int i) const { return row + i / 4 * (4 * S::kThreadRows) + i % 4; }
  __device__ int col_of(int j) const { return col + j / 4 * (4 * S::kThreadCols) + j % 4; }
};

// P is a TiledProduct.
template <class P, class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks) multiply_tiles(P p) {
  using T = typename P::Number;
  constexpr int kEach = 4 * S::kBlocks;  // results of a thread along rows, and along columns
  using ShareA = TileShare<T, S::kRows, S::kDepth, S::kThreads, typename P::Operand>;
  using ShareW = TileShare<T, S::kCols, S::kDepth, S::kThreads, typename P::Operand>;
  __shared__ Shared<T, 2 * ShareA::kSize> a_tiles;
  __shared__ Shared<T, 2 * ShareW::kSize> w_tiles;
  const Place<S> place;
  const std::int64_t across = (p.n + S::kCols - 1) / S::kCols;
  const std::int64_t first_row = blockIdx.x / across * S::kRows;
  const std::int64_t first_col = blockIdx.x % across * S::kCols;

  for (std::int64_t z = blockIdx.y; z < p.count * p.splits; z += gridDim.y) {
    const typename P::Part part = p.part(z);

    T sum[kEach][kEach];
    for (int j = 0; j < kEach; ++j) {
      const std::int64_t col = first_col + place.col_of(j);
      const T start = p.bias != nullptr && part.number == 0 && col < p.n ? p.bias[col] : T{};
      for (int i = 0; i < kEach; ++i) sum[i][j] = start;
    }

    ShareA a(p.a, part.at[0], first_row, part.first_k);
    ShareW w(p.w, part.at[1], first_col, part.first_k);
    // The first round only loads: its code is that of all others.
    int here = 1;
    for (std::int64_t k = -S::kDepth; k < part.depth; k += S::kDepth, here ^= 1) {
      const std::int64_t rest = part.depth - k - S::kDepth;
      if (rest > 0) {
        a.fetch(rest);
        w.fetch(rest);
      }
      for (int kk = 0; k >= 0 && kk < S::kDepth; ++kk) {
        const int a_row = here * ShareA::kSize + kk * ShareA::kStride;
        const int w_row = here * ShareW::kSize + kk * ShareW::kStride;
        Four<T> x[S::kBlocks], y[S::kBlocks];
        for (int i = 0; i < S::kBlocks; ++i) {
          x[i] = a_tiles.four(a_row + place.row_of(4 * i));
          y[i] = w_tiles.four(w_row + place.col_of(4 * i));
        }
        for (int i = 0; i < kEach; ++i)
          for (int j = 0; j < kEach; ++j)
            sum[i][j] = mul_add(x[i / 4].x[i % 4], y[j / 4].x[j % 4], sum[i][j]);
      }
      if (rest > 0) {
        a.store(a_tiles, (here ^ 1) * ShareA::kSize);
        w.store(w_tiles, (here ^ 1) * ShareW::kSize);
      }
      __syncthreads();
    }

    for (int i = 0; i < kEach; ++i) {
      const std::int64_t row = first_row + place.row_of(i);
      if (row >= p.m) continue;
      for (int block = 0; block < S::kBlocks; ++block) {
        const std::int64_t col = first_col + place.col_of(4 * block);
        Four<T> sums;
        for (int j = 0; j < 4; ++j) sums.x[j] = sum[i][4 * block + j];
        finish_four(p, sums, (z * p.m + row) * p.n + col, p.n - col);
      }
    }
  }
}

// float64 tiles are half as deep: their bytes are the same.
template <class T>
inline constexpr int kDeep = sizeof(T) == 4 ? 32 : 16;

enum TileShape : int { kLarge, kMedium, kSmall, kNarrow, kFlat };
struct TileSize {
  std::int64_t rows, cols;
};
inline constexpr TileSize kSizes[] = {{128, 128}, {64, 64}, {32, 32}, {64, 16}, {16, 64}};

inline TileCut cut_exact(DType dtype, const ProductSizes& s) {
  const auto blocks = [&](TileShape shape) {
    return pieces(s.m, kSizes[shape].rows) * pieces(s.n, kSizes[shape].cols) * s.batch;
  };
  const auto padded = [&](TileShape shape) {
    return blocks(shape) * kSizes[shape].rows * kSizes[shape].cols;
  };
  constexpr std::int64_t kLong = 256, kShort = 64;  // the least k of a part
  const auto parts = [&](TileShape shape, std::int64_t shortest) {
    return split_evenly(shape, blocks(shape), s.k, shortest, 32);
  };
  if (s.m <= 16) return parts(kFlat, kShort);
  if (s.n <= 16) return parts(kNarrow, kShort);
  if (dtype == DType::kFloat32 && blocks(kLarge) >= kEnoughBlocks &&
      4 * padded(kLarge) <= 5 * padded(kMedium))
    return {kLarge, 1, s.k};
  const std::int64_t most_parts = std::clamp<std::int64_t>(s.k / kLong, 1, 16);
  if (s.m > 32 && s.n > 32 && blocks(kMedium) * most_parts >= kEnoughBlocks)
    return parts(kMedium, kLong);
  return parts(kSmall, kShort);
}

// Launches the kernel for one of the shapes that cut_exact gave.
template <class P>
void launch_tiles(const ProductCall& call, const TileCut& cut, const P& p) {
  using T = typename P::Number;
  const auto launch = [&](auto shape) {
    using S = decltype(shape);
    cuda::launch(call.stream, tile_grid(p, S::kRows, S::kCols, S::kThreads), multiply_tiles<P, S>,
                 p);
  };
  switch (cut.shape) {
    case kLarge:
      if constexpr (sizeof(T) == 4) launch(Tile<128, 128, 8, 2>{});
      return;
    case kMedium: return launch(Tile<64, 64, 16, 1>{});
    case kSmall: return launch(Tile<32, 32, kDeep<T>, 1>{});
    case kNarrow: return launch(Tile<64, 16, kDeep<T>, 1>{});
    default: return launch(Tile<16, 64, kDeep<T>, 1>{});
  }
}

}  // namespace densa::inline DENSA_ISA
