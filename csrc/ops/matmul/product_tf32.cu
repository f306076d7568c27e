// Products of float32 on tensor cores, for sm_80 and newer: plain TF32, and three TF32 products
// that together are nearly as exact as float32.
//
// TF32 keeps 11 bits of each factor, so a product is off by up to 2^-10. With x = high + low, both
// of 11 bits, high * high + high * low + low * high is off by about 2^-21. The sum of each eight
// such products begins at zero and is added to the rest in float32: what tensor cores cut off in
// their additions is a share of those eight, not of the whole sum.
//
// Tiles lie in shared memory as their matrix does, [outer][k] or [k][outer], with rows padded so
// that the reads of a warp hit different banks. Copies run a few tiles ahead.
#include "cuda/mma.h"
#include "ops/matmul/product_warps.cuh"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kDepth = 16;

template <int kRowsOfTile, int kColsOfTile, int kWarpsDown, int kWarpsAcross, int kStagesOfCopies>
struct WarpTiles {
  static constexpr int kRows = kRowsOfTile, kCols = kColsOfTile, kStages = kStagesOfCopies;
  static constexpr int kAcross = kWarpsAcross, kThreads = kWarpsDown * kWarpsAcross * kWarp;
  static constexpr int kWarpRows = kRows / kWarpsDown, kWarpCols = kCols / kWarpsAcross;
  static constexpr int kDown16 = kWarpRows / 16, kAcross8 = kWarpCols / 8;  // products of a warp
};

// One operand's tiles in shared memory, and a thread's share in copying them.
template <int kOuter, int kThreads>
class CopiedTiles {
 public:
  static constexpr int kSize = kOuter * (kDepth + 4);  // [k][outer + 8] is no larger

  __device__ CopiedTiles(const TileOperand<float>& operand, std::ptrdiff_t base,
                         std::int64_t first_outer, std::int64_t first_k)
      : operand_(operand),
        at_(base + first_outer * operand.outer_step + first_k * operand.k_step),
        outer_step_(operand.along_k ? kDepth + 4 : 1),
        k_step_(operand.along_k ? 1 : kOuter + 8) {
    const std::int64_t left = operand.outer - first_outer;
    left_ = left > kOuter ? kOuter : static_cast<int>(left);
  }

  // Begins to copy the next tile, of which `depth` k exist, to `place` in x.
  template <int kRoom>
  __device__ void copy(Shared<float, kRoom>& x, int place, std::int64_t depth) {
    const int k_left = depth > kDepth ? kDepth : static_cast<int>(depth);
    for (int e = static_cast<int>(threadIdx.x); e < kOuter * kDepth / 4; e += kThreads) {
      const int outer = operand_.along_k ? e / (kDepth / 4) : e % (kOuter / 4) * 4;
      const int k = operand_.along_k ? e % (kDepth / 4) * 4 : e / (kOuter / 4);
      const int outers = left_ - outer, ks = k_left - k;
      const int near = operand_.along_k ? ks : outers, far = operand_.along_k ? outers : ks;
      const int count = far <= 0 || near <= 0 ? 0 : near < 4 ? near : 4;
      const std::ptrdiff_t at = at_ + outer * operand_.outer_step + k * operand_.k_step;
      const int to = place + outer * outer_step_ + k * k_step_;
      if (operand_.by_four) {
        copy_four_async(x, to, operand_.data, at, count);
      } else {
        const std::ptrdiff_t step = operand_.along_k ? operand_.k_step : operand_.outer_step;
        for (int j = 0; j < 4; ++j)
          copy_one_async(x, to + j, operand_.data, at + j * step, count > j ? 1 : 0);
      }
    }
    at_ += kDepth * operand_.k_step;
  }

  // Where element (outer, k) of a tile lies.
  __device__ int place_of(int outer, int k) const { return outer * outer_step_ + k * k_step_; }

 private:
  static_assert(kDepth * (kOuter + 8) <= kSize && kOuter % 16 == 0);
  const TileOperand<float>& operand_;
  std::ptrdiff_t at_;  // of the tile
  int left_, outer_step_, k_step_;
};

// x as TF32, and with kLow what that leaves of it.
template <bool kLow>
__device__ void split(float x, std::uint32_t& high, std::uint32_t& low) {
  high = to_tf32(x);
  if constexpr (kLow) {
    const float rest = x - from_bits<float>(high);
    low = to_tf32(rest - rest == 0 ? rest : 0);  // nothing is left of infinity
  }
}

template <class S, bool kThree>
__global__ void __launch_bounds__(S::kThreads) multiply_tf32(TiledProduct<float> p) {
  using TilesA = CopiedTiles<S::kRows, S::kThreads>;
  using TilesW = CopiedTiles<S::kCols, S::kThreads>;
  __shared__ Shared<float, S::kStages * TilesA::kSize> a_tiles;
  __shared__ Shared<float, S::kStages * TilesW::kSize> w_tiles;
  const int warp = static_cast<int>(threadIdx.x / kWarp),
            lane = static_cast<int>(threadIdx.x % kWarp);
  const int g = lane / 4, q = lane % 4;
  const int warp_row = warp / S::kAcross * S::kWarpRows,
            warp_col = warp % S::kAcross * S::kWarpCols;
  const std::int64_t across = (p.n + S::kCols - 1) / S::kCols;
  const std::int64_t first_row = blockIdx.x / across * S::kRows;
  const std::int64_t first_col = blockIdx.x % across * S::kCols;

  for (std::int64_t z = blockIdx.y; z < p.count * p.splits; z += gridDim.y) {
    const auto part = p.part(z);

    float sum[S::kDown16][S::kAcross8][4];
    begin_sums(p, sum, first_col + warp_col, part.number);

    TilesA a(p.a, part.at[0], first_row, part.first_k);
    TilesW w(p.w, part.at[1], first_col, part.first_k);
    // A tile is begun kStages - 1 rounds before its turn; a round without one ends an empty group.
    for (std::int64_t round = 1 - S::kStages; round * kDepth < part.depth; ++round) {
      const std::int64_t next = round + S::kStages - 1;
      if (round >= 0) {
        copies_wait<S::kStages - 2>();
        __syncthreads();
      }
      if (next * kDepth < part.depth) {
        const int stage = static_cast<int>(next % S::kStages);
        a.copy(a_tiles, stage * TilesA::kSize, part.depth - next * kDepth);
        w.copy(w_tiles, stage * TilesW::kSize, part.depth - next * kDepth);
      }
      copies_end_group();
      if (round < 0) continue;
      const int stage = static_cast<int>(round % S::kStages);
      const int a_place = stage * TilesA::kSize + a.place_of(warp_row + g, q);
      const int w_place = stage * TilesW::kSize + w.place_of(warp_col + g, q);
      for (int k = 0; k < kDepth; k += 8) {
        std::uint32_t x[S::kDown16][4], x_low[S::kDown16][4];
        std::uint32_t y[S::kAcross8][2], y_low[S::kAcross8][2];
        for (int i = 0; i < S::kDown16; ++i)
          for (int e = 0; e < 4; ++e)
            split<kThree>(a_tiles[a_place + a.place_of(16 * i + e % 2 * 8, k + e / 2 * 4)], x[i][e],
                          x_low[i][e]);
        for (int j = 0; j < S::kAcross8; ++j)
          for (int e = 0; e < 2; ++e)
            split<kThree>(w_tiles[w_place + w.place_of(8 * j, k + e * 4)], y[j][e], y_low[j][e]);
        for (int i = 0; i < S::kDown16; ++i)
          for (int j = 0; j < S::kAcross8; ++j) {
            if constexpr (kThree) {
              float eight[4] = {};
              mma_tf32(eight, x_low[i], y[j]);
              mma_tf32(eight, x[i], y_low[j]);
              mma_tf32(eight, x[i], y[j]);
              for (int c = 0; c < 4; ++c) sum[i][j][c] += eight[c];
            } else {
              mma_tf32(sum[i][j], x[i], y[j]);
            }
          }
      }
    }
    copies_wait<0>();
    __syncthreads();

    using Room = ResultRoom<S::kAcross8>;
    static_assert(S::kThreads / kWarp * Room::kSize <= S::kStages * TilesW::kSize);
    finish_sums<Room>(p, sum, w_tiles, warp * Room::kSize, z, first_row + warp_row,
                      first_col + warp_col,
                      [&p](const Four<float>& sums, std::int64_t to, std::int64_t count) {
                        finish_four(p, sums, to, count);
                      });
    __syncthreads();
  }
}

using Large = WarpTiles<128, 128, 2, 4, 2>;
using Small = WarpTiles<64, 64, 2, 2, 4>;
enum WarpTilesShape : int { kLargeTiles, kSmallTiles };

// Narrow and short products waste most of a tensor core's work; they stay exact.
bool takes_tf32(DType dtype, const ProductSizes& s) {
  return dtype == DType::kFloat32 && s.m > 16 && s.n > 16 && s.k > 16;
}

TileCut cut_tf32(DType, const ProductSizes& s) {
  constexpr std::int64_t kShortest = 128;
  const std::int64_t large = pieces(s.m, Large::kRows) * pieces(s.n, Large::kCols) * s.batch;
  if (large >= kEnoughBlocks) return {kLargeTiles, 1, s.k};
  const std::int64_t small = pieces(s.m, Small::kRows) * pieces(s.n, Small::kCols) * s.batch;
  return split_evenly(kSmallTiles, small, s.k, kShortest, 32);
}

template <bool kThree>
void launch_tf32(const ProductCall& call, const TileCut& cut) {
  const TiledProduct<float> p = tiled<float>(call, cut);
  const auto launch = [&](auto shape, auto kernel) {
    using S = decltype(shape);
    cuda::launch(call.stream, tile_grid(p, S::kRows, S::kCols, S::kThreads), kernel, p);
  };
  if (cut.shape == kLargeTiles) {
    launch(Large{}, multiply_tf32<Large, kThree>);
  } else {
    launch(Small{}, multiply_tf32<Small, kThree>);
  }
}

}  // namespace

const ProductForm kTf32x3Product = {"tf32x3", takes_tf32, cut_tf32, launch_tf32<true>};
const ProductForm kTf32Product = {"tf32", takes_tf32, cut_tf32, launch_tf32<false>};

}  // namespace densa::inline DENSA_ISA
