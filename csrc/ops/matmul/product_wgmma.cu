// Products of 16-bit numbers by the warpgroups of sm_90a: wgmma on tiles that TMA brings.
//
// A block computes 128 rows of results. One thread asks for tiles, 64 deep, a few stages ahead; two
// warpgroups multiply 64 rows each straight out of shared memory. Barriers `full` say that a
// stage's tiles are there, `empty` that nobody reads them any more.
//
// TMA reads operands of 16 bits in the product's precision that are aligned to 16 bytes, in either
// direction. All others, float32 among them, are rounded before into scratch as [outer][k]. The
// contents of a tile, and so the bits of y, are the same.
#include <numeric>

#include "cuda/warpgroup.h"
#include "ops/matmul/product_halves.cuh"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kGroupDepth = cuda::kBoxSide;

template <int kColsOfTile, int kStagesOfCopies, int kBlocksOfProcessor>
struct GroupTiles {
  static constexpr int kRows = 2 * cuda::kBoxSide, kCols = kColsOfTile;
  static constexpr int kStages = kStagesOfCopies, kBlocks = kBlocksOfProcessor;
  static constexpr int kMultiplying = 2 * kWarpgroup, kThreads = kMultiplying + kWarp;
  static constexpr std::uint32_t kBytesA = kRows / cuda::kBoxSide * cuda::kBoxBytes;
  static constexpr std::uint32_t kBytes = kBytesA + kCols / cuda::kBoxSide * cuda::kBoxBytes;
  using Room = ResultRoom<kCols / 8, 16>;
  static constexpr int kRoom = kMultiplying / kWarp * Room::kSize;
  static constexpr std::size_t kShared = kStages * kBytes + kTileSlack;
  // 228 KB of a processor, less 1 KB for each block; 227 KB at most for one.
  static_assert((kShared + kRoom * 4 + 1024 + 256) * kBlocks <= 228 << 10);
};

struct GroupProduct {
  MixedProduct p;
  cuda::TensorMap a, w;
  std::int64_t a_step, w_step;  // from one matrix of the map to the next
  bool bfloat16;
};

// Stages in turn, and the parity of their phases.
template <int kStages>
struct Turn {
  int stage = 0;
  std::uint32_t parity = 0;
  __device__ void next() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
  __device__ int before() const { return stage == 0 ? kStages - 1 : stage - 1; }
};

// One thread asks for the tiles in turn.
template <class S>
__device__ void bring_tiles(const GroupProduct& call, const MixedProduct::Part& part,
                            std::uint32_t tiles, int first_row, int first_col,
                            Barriers<S::kStages>& full, Barriers<S::kStages>& empty) {
  const int a_matrix = static_cast<int>(part.at[0] / call.a_step),
            w_matrix = static_cast<int>(part.at[1] / call.w_step);
  const bool a_along_k = call.p.a.along_k, w_along_k = call.p.w.along_k;
  const int first_k = static_cast<int>(part.first_k), depth = static_cast<int>(part.depth);
  Turn<S::kStages> turn;
  DENSA_ROLLED
  for (int k = first_k; k - first_k < depth; k += kGroupDepth, turn.next()) {
    std::uint32_t to = tiles + static_cast<std::uint32_t>(turn.stage) * S::kBytes;
    empty.wait(turn.stage, turn.parity ^ 1);
    full.expect(turn.stage, S::kBytes);
    const auto bring = [&](const cuda::TensorMap& map, bool along_k, int outer, int matrix) {
      copy_box(map, along_k ? k : outer, along_k ? outer : k, matrix, to, full, turn.stage);
      to += cuda::kBoxBytes;
    };
    for (int i = 0; i < S::kRows; i += cuda::kBoxSide)
      bring(call.a, a_along_k, first_row + i, a_matrix);
    for (int i = 0; i < S::kCols; i += cuda::kBoxSide)
      bring(call.w, w_along_k, first_col + i, w_matrix);
  }
}

// A warpgroup's sum of `rounds` stages. The products of a round go on while the next one's tiles
// are waited for; so a stage is given back a round late.
template <class S, bool kBFloat16, bool kAAlongK, bool kWAlongK>
__device__ __forceinline__ void multiply_stages(float (&sum)[S::kCols / 8][4], int rounds,
                                                std::uint32_t tiles, Barriers<S::kStages>& full,
                                                Barriers<S::kStages>& empty) {
  const int thread = static_cast<int>(threadIdx.x);
  const bool tells = thread % kWarp == 0;
  // The same in a whole warp, as the compiler is to know.
  const auto group = static_cast<std::uint32_t>(shuffle(thread / kWarpgroup, 0));
  const std::uint32_t mine = group * cuda::kBoxBytes;
  Turn<S::kStages> turn;
  DENSA_ROLLED
  for (int round = 0; round < rounds; ++round, turn.next()) {
    const std::uint32_t at = tiles + static_cast<std::uint32_t>(turn.stage) * S::kBytes;
    const std::uint64_t a = operand_at(at + mine), w = operand_at(at + S::kBytesA);
    full.wait(turn.stage, turn.parity);
    warpgroup_begin();
    DENSA_UNROLL
    for (std::uint64_t i = 0; i < kGroupDepth / 16; ++i)
      warpgroup_multiply<kBFloat16, S::kCols, !kAAlongK, !kWAlongK>(
          sum, a + i * (kAAlongK ? kStepAlongK : kStepAcrossK),
          w + i * (kWAlongK ? kStepAlongK : kStepAcrossK));
    warpgroup_end_group();
    warpgroup_wait<1>(sum);
    if (round > 0 && tells) empty.arrive(turn.before());
  }
  warpgroup_wait<0>(sum);
  if (rounds > 0 && tells) empty.arrive(turn.before());
}

template <class S>
__device__ void multiply_block(const GroupProduct& call) {
  __shared__ Barriers<S::kStages> full, empty;
  __shared__ Shared<float, S::kRoom> room;
  const MixedProduct& p = call.p;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp;
  const std::uint32_t tiles = tile_memory();
  const int across = static_cast<int>((p.n + S::kCols - 1) / S::kCols);
  const int block = static_cast<int>(blockIdx.x);
  const int first_row = block / across * S::kRows, first_col = block % across * S::kCols;
  if (thread == 0) {
    for (int i = 0; i < S::kStages; ++i) {
      full.init(i, 1);
      empty.init(i, S::kMultiplying / kWarp);
    }
    barriers_ready();
  }
  __syncthreads();
  const std::int64_t z = blockIdx.y + static_cast<std::int64_t>(blockIdx.z) * gridDim.y;
  if (z >= p.count * p.splits) return;
  const MixedProduct::Part part = p.part(z);
  if (thread >= S::kMultiplying) {
    if (thread == S::kMultiplying)
      bring_tiles<S>(call, part, tiles, first_row, first_col, full, empty);
    return;
  }

  const int rounds = static_cast<int>((part.depth + kGroupDepth - 1) / kGroupDepth);
  float sum[1][S::kCols / 8][4];
  begin_sums(p, sum, first_col, part.number);
  const auto multiply = [&](auto bfloat16, auto a_along_k, auto w_along_k) {
    multiply_stages<S, bfloat16.value, a_along_k.value, w_along_k.value>(sum[0], rounds, tiles,
                                                                         full, empty);
  };
  const auto with = [](bool which, const auto& f) {
    if (which) {
      f(std::true_type{});
    } else {
      f(std::false_type{});
    }
  };
  with(call.bfloat16, [&](auto bfloat16) {
    with(p.a.along_k, [&](auto a_along_k) {
      with(p.w.along_k, [&](auto w_along_k) { multiply(bfloat16, a_along_k, w_along_k); });
    });
  });
  finish_sums<typename S::Room>(p, sum, room, warp * S::Room::kSize, z, first_row + warp * 16,
                                first_col, FinishHalves{p});
}

template <class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    multiply_groups(const __grid_constant__ GroupProduct call) {
  if constexpr (kHasWarpgroups) {
    multiply_block<S>(call);
  } else {
    warpgroup_begin();  // stops
  }
}

// ---- operands that TMA cannot read --------------------------------------------------------------

struct Rounding {
  MixedOperand from;
  Strided<1> batch;
  std::int64_t count, k, chunks;  // of 8 in a row of k
  Global<std::uint32_t> to;       // [count][outer][chunks] of four words
};

__global__ void round_operand(Rounding r) {
  if constexpr (!kHasWarpgroups) return warpgroup_begin();
  const std::int64_t each = r.from.outer * r.chunks;
  for (std::int64_t i = GridStride::begin(); i < r.count * each; i += GridStride::step()) {
    const std::int64_t z = i / each, rest = i - z * each;
    // Neighbouring threads read what lies side by side.
    const std::int64_t outer = r.from.along_k ? rest / r.chunks : rest % r.from.outer;
    const std::int64_t chunk = r.from.along_k ? rest % r.chunks : rest / r.from.outer;
    std::int64_t at[1];
    r.batch.locate(z, at);
    const std::int64_t left = r.k - 8 * chunk;
    float eight[8];
    load_eight(r.from, at[0] + outer * r.from.outer_step + 8 * chunk * r.from.k_step,
               left < 8 ? static_cast<int>(left) : 8, eight);
    store_four(r.to, ((z * r.from.outer + outer) * r.chunks + chunk) * 4,
               pack_eight(r.from.precision, eight));
  }
}

// The operand, or the same one rounded into `room`. `near` and `far`: of its neighbours in memory.
ProductOperand readable(const ProductCall& call, const ProductOperand& from, const MixedOperand& as,
                        std::byte* room) {
  const std::int64_t near = as.along_k ? call.k : as.outer;
  const std::ptrdiff_t pitch = as.along_k ? as.outer_step : as.k_step;
  if (is_direct(as) && pitch >= near && steps_by(pitch, from.batch_strides) &&
      std::all_of(from.batch_strides.begin(), from.batch_strides.end(),
                  [](auto step) { return step >= 0; }))
    return from;
  Rounding r{as,
             Strided<1>::of(call.batch, {from.batch_strides}),
             element_count(call.batch),
             call.k,
             pieces(call.k, 8),
             {}};
  ProductOperand out{room, 8 * r.chunks, 1, from.batch_strides, call.precision};
  if (&from == &call.w) std::swap(out.row_stride, out.col_stride);
  const bool shared = std::all_of(from.batch_strides.begin(), from.batch_strides.end(),
                                  [](auto step) { return step == 0; });
  if (shared) r.count = 1;
  std::int64_t step = as.outer * 8 * r.chunks;
  for (int i = call.batch.rank() - 1; i >= 0 && !shared; --i) {
    out.batch_strides[i] = step;
    step *= call.batch[i];
  }
  r.to = Global<std::uint32_t>(reinterpret_cast<std::uint32_t*>(room));
  cuda::launch(call.stream, cuda::grid_for(r.count * as.outer * r.chunks), round_operand, r);
  return out;
}

std::size_t rounded_bytes(std::int64_t outers, std::int64_t k) {
  return static_cast<std::size_t>(outers * pieces(k, 8)) * 16;
}

// Each tensor map counts matrices by the largest step that leads to all of them.
cuda::TensorMap map_of(const ProductCall& call, const ProductOperand& from, const MixedOperand& as,
                       std::int64_t& step) {
  cuda::MatrixStack stack;
  stack.data = from.data;
  stack.near = as.along_k ? call.k : as.outer;
  stack.far = as.along_k ? as.outer : call.k;
  stack.pitch = as.along_k ? as.outer_step : as.k_step;
  std::int64_t last = 0;
  step = 0;
  for (int i = 0; i < call.batch.rank(); ++i) {
    step = std::gcd(step, from.batch_strides[i]);
    last += from.batch_strides[i] * (call.batch[i] - 1);
  }
  if (step == 0) step = stack.pitch;
  stack.step = step;
  stack.count = last / step + 1;
  return cuda::tensor_map(stack);
}

template <class S>
void launch_groups(const ProductCall& call, const GroupProduct& product) {
  cuda::Grid grid = tile_grid(product.p, S::kRows, S::kCols, S::kThreads);
  grid.blocks.z = static_cast<unsigned>(pieces(product.p.count * product.p.splits, grid.blocks.y));
  grid.shared_bytes = S::kShared;
  cuda::launch(call.stream, grid, multiply_groups<S>, product);
}

// 1 KB of shared memory is lost in one of 228, so three stages fit twice.
using Group256 = GroupTiles<256, 4, 1>;
using Group128 = GroupTiles<128, 3, 2>;
enum GroupShape : int { kGroup256, kGroup128 };

void launch_wgmma(const ProductCall& call, const TileCut& cut) {
  if (call.m == 0 || call.n == 0 || element_count(call.batch) == 0) return;
  auto* const room = static_cast<std::byte*>(call.scratch) + room_start(call, cut);
  const MixedProduct as = mixed(call, cut);
  ProductCall direct = call;
  GroupProduct product{};
  if (call.k > 0) {
    direct.a = readable(call, call.a, as.a, room);
    direct.w = readable(call, call.w, as.w,
                        room + rounded_bytes(call.sizes.m * call.sizes.batch, call.sizes.k));
  }
  product.p = mixed(direct, cut);
  product.bfloat16 = call.precision == NumberFormat::kBFloat16;
  product.a_step = product.w_step = 1;
  if (call.k > 0) {
    product.a = map_of(direct, direct.a, product.p.a, product.a_step);
    product.w = map_of(direct, direct.w, product.p.w, product.w_step);
  }
  if (cut.shape == kGroup256) return launch_groups<Group256>(call, product);
  launch_groups<Group128>(call, product);
}

std::size_t room_for_rounded(const ProductCall& call) {
  const ProductSizes& s = call.sizes;
  return rounded_bytes((s.m + s.n) * s.batch, s.k);
}

// Less than half a tile is work for smaller ones; TMA counts in 32 bits.
bool takes_wgmma(DType dtype, const ProductSizes& s) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;  // with room for a tile
  return dtype == DType::kFloat32 && s.m > 64 && s.n > 64 && s.k >= kGroupDepth && s.m < kMost &&
         s.n < kMost && s.k < kMost && s.batch < kMost;
}

TileCut cut_wgmma(DType, const ProductSizes& s) {
  const auto blocks = [&](std::int64_t cols) {
    return pieces(s.m, Group128::kRows) * pieces(s.n, cols) * s.batch;
  };
  constexpr std::int64_t kLong = 256;  // the least k of a part
  if (blocks(Group256::kCols) >= kEnoughBlocks &&
      8 * blocks(Group256::kCols) <= 5 * blocks(Group128::kCols))
    return {kGroup256, 1, s.k};
  return split_evenly(kGroup128, blocks(Group128::kCols), s.k, kLong, kGroupDepth);
}

}  // namespace

const ProductForm kWgmmaProduct = {"wgmma", takes_wgmma, cut_wgmma, launch_wgmma, room_for_rounded};

}  // namespace densa::inline DENSA_ISA
