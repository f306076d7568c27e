// Products of 16-bit numbers on tensor cores, for sm_80 and newer: mma.sync m16n8k16.
//
// Tiles are 32 deep and lie in shared memory as 16-bit numbers in chunks of eight, copied a few
// tiles ahead. Operands that lie in memory as the product takes them, aligned, are copied by
// cp.async as they lie, [outer][k] or [k][outer]. All others go through registers, are rounded
// there and lie as [outer][k]. The contents of a tile, and so the bits of y, are the same.
#include "ops/matmul/product_halves.cuh"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kHalfDepth = 32;

template <int kRowsOfTile, int kColsOfTile, int kWarpsDown, int kWarpsAcross, int kStagesOfCopies>
struct HalfTiles {
  static constexpr int kRows = kRowsOfTile, kCols = kColsOfTile, kStages = kStagesOfCopies;
  static constexpr int kAcross = kWarpsAcross, kThreads = kWarpsDown * kWarpsAcross * kWarp;
  static constexpr int kWarpRows = kRows / kWarpsDown, kWarpCols = kCols / kWarpsAcross;
  static constexpr int kDown16 = kWarpRows / 16, kAcross16 = kWarpCols / 16;
  static_assert(kStages >= 3 && kStages * (kRows + kCols) * kHalfDepth * 2 <= 48 << 10);
};

// Where the chunks of a tile lie. A row of [outer][k] is 4 chunks of 16 bytes, of [k][outer] 4 or
// more. Chunk c of row r is at c ^ (r / 2 % 4) if there are 4, else at c ^ (r % 8). So chunk c of
// eight rows in turn, which is what ldmatrix reads at a time, lies at eight different places
// modulo 128 bytes: of 4-chunk rows the even and the odd take a half each, and in it r / 2 gives
// four places. All 32 banks are read once. Eight neighbouring chunks fill 128 bytes as well.
template <int kOuter, bool kAlongK>
struct HalfLayout {
  static constexpr int kChunks = (kAlongK ? kHalfDepth : kOuter) / 8;
  static constexpr int kSize = kOuter * kHalfDepth / 2;  // words
  static_assert(kChunks == 4 || kChunks % 8 == 0);

  // The first word of the chunk from (outer, k).
  __device__ static int place(int outer, int k) {
    const int row = kAlongK ? outer : k, chunk = (kAlongK ? k : outer) / 8;
    return (row * kChunks + (chunk ^ (kChunks == 4 ? row / 2 % 4 : row % 8))) * 4;
  }
};

// A thread's share in filling the tiles of one operand: a few chunks of each.
template <int kOuter, int kThreads, bool kAlongK, NumberFormat kTo, bool kAny>
class HalfShare {
 public:
  using Layout = HalfLayout<kOuter, kAlongK>;

  __device__ HalfShare(const MixedOperand& operand, std::ptrdiff_t base, std::int64_t first_outer,
                       std::int64_t first_k)
      : operand_(operand),
        at_(base + first_outer * operand.outer_step + first_k * operand.k_step),
        direct_(!kAny || (is_direct(operand) && operand.along_k)) {
    const std::int64_t left = operand.outer - first_outer;
    left_ = left > kOuter ? kOuter : static_cast<int>(left);
  }

  // Begins to bring the next tile, of which `depth` k exist, to `place` in x.
  template <int kRoom>
  __device__ void fetch(Shared<std::uint32_t, kRoom>& x, int place, std::int64_t depth) {
    const int k_left = depth > kHalfDepth ? kHalfDepth : static_cast<int>(depth);
    DENSA_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int outer = outer_of(i), k = k_of(i);
      const int outers = left_ - outer, ks = k_left - k;
      const int near = kAlongK ? ks : outers, far = kAlongK ? outers : ks;
      const int count = far <= 0 || near <= 0 ? 0 : near < 8 ? near : 8;
      const std::ptrdiff_t at = at_ + outer * operand_.outer_step + k * operand_.k_step;
      if (direct_) {
        copy_eight_async(x, place + Layout::place(outer, k), operand_.data.half(), at, count);
      } else if constexpr (kAny) {
        load_eight(operand_, at, count, loaded_[i]);
      }
    }
    at_ += kHalfDepth * operand_.k_step;
  }

  // Ends it, where nobody reads the old tile there any more.
  template <int kRoom>
  __device__ void store(Shared<std::uint32_t, kRoom>& x, int place) const {
    if (direct_) return;
    if constexpr (kAny) {
      DENSA_UNROLL
      for (int i = 0; i < kEach; ++i) {
        x.set_four(place + Layout::place(outer_of(i), k_of(i)), pack_eight(kTo, loaded_[i]));
      }
    }
  }

 private:
  static constexpr int kEach = kOuter * kHalfDepth / 8 / kThreads;
  static_assert(kEach * kThreads * 8 == kOuter * kHalfDepth && (!kAny || kAlongK));

  // Neighbouring threads take what lies side by side in memory.
  __device__ bool across() const { return kAny && !operand_.along_k; }
  __device__ unsigned chunk_of(int i) const {
    return threadIdx.x + static_cast<unsigned>(i * kThreads);
  }
  __device__ int outer_of(int i) const {
    const unsigned chunk = chunk_of(i);
    if (kAlongK) return static_cast<int>(across() ? chunk % kOuter : chunk / Layout::kChunks);
    return static_cast<int>(chunk % Layout::kChunks * 8);
  }
  __device__ int k_of(int i) const {
    const unsigned chunk = chunk_of(i);
    if (kAlongK) return static_cast<int>((across() ? chunk / kOuter : chunk % Layout::kChunks) * 8);
    return static_cast<int>(chunk / Layout::kChunks);
  }

  const MixedOperand& operand_;
  std::ptrdiff_t at_;  // of the tile
  int left_;
  bool direct_;
  float loaded_[kAny ? kEach : 1][8];
};

// The fragment of 16 x 16 numbers from (outer, k): [0] and [2] are those of the first eight outer.
template <class Layout, bool kAlongK, int kRoom>
__device__ void load_fragment(const Shared<std::uint32_t, kRoom>& x, int place, int outer, int k,
                              std::uint32_t (&out)[4]) {
  const int lane = static_cast<int>(threadIdx.x % kWarp), row = lane % 8;
  const int second = lane / 8 % 2 * 8, deeper = lane / 16 * 8;
  if constexpr (kAlongK) {
    load_matrices(x, place + Layout::place(outer + second + row, k + deeper), out);
  } else {
    load_matrices_transposed(x, place + Layout::place(outer + second, k + deeper + row), out);
  }
}

// kAny: the operands lie anyhow; both layouts are then [outer][k].
template <class S, NumberFormat kTo, bool kAAlongK, bool kWAlongK, bool kAny>
__global__ void __launch_bounds__(S::kThreads, kAny ? 1 : 2) multiply_halves(MixedProduct p) {
  using ShareA = HalfShare<S::kRows, S::kThreads, kAAlongK, kTo, kAny>;
  using ShareW = HalfShare<S::kCols, S::kThreads, kWAlongK, kTo, kAny>;
  constexpr int kSizeA = ShareA::Layout::kSize, kSizeW = ShareW::Layout::kSize;
  __shared__ Shared<std::uint32_t, S::kStages * kSizeA> a_tiles;
  __shared__ Shared<std::uint32_t, S::kStages * kSizeW> w_tiles;
  const int warp = static_cast<int>(threadIdx.x / kWarp);
  const int warp_row = warp / S::kAcross * S::kWarpRows,
            warp_col = warp % S::kAcross * S::kWarpCols;
  const std::int64_t across = (p.n + S::kCols - 1) / S::kCols;
  const std::int64_t first_row = blockIdx.x / across * S::kRows;
  const std::int64_t first_col = blockIdx.x % across * S::kCols;

  for (std::int64_t z = blockIdx.y; z < p.count * p.splits; z += gridDim.y) {
    const auto part = p.part(z);

    float sum[S::kDown16][2 * S::kAcross16][4];
    begin_sums(p, sum, first_col + warp_col, part.number);

    ShareA a(p.a, part.at[0], first_row, part.first_k);
    ShareW w(p.w, part.at[1], first_col, part.first_k);
    // A tile is begun kStages - 1 rounds before its turn, where all have read the one before it.
    // A round without one ends an empty group.
    for (std::int64_t round = 1 - S::kStages; round * kHalfDepth < part.depth; ++round) {
      const std::int64_t next = round + S::kStages - 1;
      const int to = static_cast<int>(next % S::kStages);
      if (round >= 0) {
        copies_wait<S::kStages - 2>();
        __syncthreads();
      }
      const bool more = next * kHalfDepth < part.depth;
      if (more) {
        a.fetch(a_tiles, to * kSizeA, part.depth - next * kHalfDepth);
        w.fetch(w_tiles, to * kSizeW, part.depth - next * kHalfDepth);
      }
      copies_end_group();
      if (round >= 0) {
        const int from = static_cast<int>(round % S::kStages);
        DENSA_UNROLL
        for (int k = 0; k < kHalfDepth; k += 16) {
          std::uint32_t x[S::kDown16][4];
          for (int i = 0; i < S::kDown16; ++i)
            load_fragment<typename ShareA::Layout, kAAlongK>(a_tiles, from * kSizeA,
                                                             warp_row + 16 * i, k, x[i]);
          for (int j = 0; j < S::kAcross16; ++j) {
            std::uint32_t both[4];
            load_fragment<typename ShareW::Layout, kWAlongK>(w_tiles, from * kSizeW,
                                                             warp_col + 16 * j, k, both);
            for (int h = 0; h < 2; ++h) {
              const std::uint32_t y[2] = {both[h], both[h + 2]};
              for (int i = 0; i < S::kDown16; ++i) {
                if constexpr (kTo == NumberFormat::kBFloat16) {
                  mma_bf16(sum[i][2 * j + h], x[i], y);
                } else {
                  mma_f16(sum[i][2 * j + h], x[i], y);
                }
              }
            }
          }
        }
      }
      if (kAny && more) {
        a.store(a_tiles, to * kSizeA);
        w.store(w_tiles, to * kSizeW);
      }
    }
    copies_wait<0>();
    __syncthreads();

    using Room = ResultRoom<2 * S::kAcross16>;
    static_assert(S::kThreads / kWarp * Room::kSize <= S::kStages * kSizeW);
    finish_sums<Room>(p, sum, w_tiles, warp * Room::kSize, z, first_row + warp_row,
                      first_col + warp_col, FinishHalves{p});
    __syncthreads();
  }
}

using Wide128 = HalfTiles<128, 128, 2, 4, 3>;  // 48 KB
using Square64 = HalfTiles<64, 64, 2, 2, 4>;
using Flat32 = HalfTiles<32, 64, 2, 2, 4>;
using Tall32 = HalfTiles<64, 32, 2, 2, 4>;
enum HalfShape : int { kWide128, kSquare64, kFlat32, kTall32 };

// Fewer rows or columns than an instruction has, or less than one step of k, waste most of it.
bool takes_mma(DType dtype, const ProductSizes& s) {
  return dtype == DType::kFloat32 && s.m >= 8 && s.n >= 8 && s.k >= 16;
}

TileCut cut_mma(DType, const ProductSizes& s) {
  const auto blocks = [&](std::int64_t rows, std::int64_t cols) {
    return pieces(s.m, rows) * pieces(s.n, cols) * s.batch;
  };
  constexpr std::int64_t kLong = 256, kShort = 128;  // the least k of a part
  const auto parts = [&](HalfShape shape, std::int64_t count, std::int64_t shortest) {
    return split_evenly(shape, count, s.k, shortest, kHalfDepth);
  };
  if (s.m <= 32) return parts(kFlat32, blocks(32, 64), kShort);
  if (s.n <= 32) return parts(kTall32, blocks(64, 32), kShort);
  if (blocks(128, 128) >= kEnoughBlocks && 16 * blocks(128, 128) <= 5 * blocks(64, 64))
    return {kWide128, 1, s.k};
  return parts(kSquare64, blocks(64, 64), kLong);
}

template <class S, NumberFormat kTo>
void launch_halves(const ProductCall& call, const MixedProduct& p) {
  const auto launch = [&](auto kernel) {
    cuda::launch(call.stream, tile_grid(p, S::kRows, S::kCols, S::kThreads), kernel, p);
  };
  const bool direct = is_direct(p.a) && is_direct(p.w);
  if (direct && p.a.along_k && p.w.along_k)
    return launch(multiply_halves<S, kTo, true, true, false>);
  if (direct && p.a.along_k) return launch(multiply_halves<S, kTo, true, false, false>);
  if (direct && !p.w.along_k) return launch(multiply_halves<S, kTo, false, false, false>);
  launch(multiply_halves<S, kTo, true, true, true>);
}

template <NumberFormat kTo>
void launch_shape(const ProductCall& call, const TileCut& cut) {
  const MixedProduct p = mixed(call, cut);
  switch (cut.shape) {
    case kWide128: return launch_halves<Wide128, kTo>(call, p);
    case kSquare64: return launch_halves<Square64, kTo>(call, p);
    case kFlat32: return launch_halves<Flat32, kTo>(call, p);
    default: return launch_halves<Tall32, kTo>(call, p);
  }
}

void launch_mma(const ProductCall& call, const TileCut& cut) {
  if (call.precision == NumberFormat::kBFloat16) {
    launch_shape<NumberFormat::kBFloat16>(call, cut);
  } else {
    launch_shape<NumberFormat::kFloat16>(call, cut);
  }
}

}  // namespace

const ProductForm kMmaProduct = {"mma", takes_mma, cut_mma, launch_mma};

}  // namespace densa::inline DENSA_ISA
