// One launch steps all variables of a dtype: a block takes a piece of one of them and each thread
// 16 bytes of w, g and every slot at a time. Norms are summed piece by piece, then over the pieces,
// in an order that the sizes alone fix; the factors stay in device memory, where the step reads
// them.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "ops/backend.h"
#include "ops/optimizer/loss_scale.h"
#include "ops/optimizer/step_lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kBlock = static_cast<int>(cuda::kThreads);
constexpr int kFactorBlock = 512;

template <class T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));

template <class T>
struct alignas(16) Pack {
  T x[kWide<T>];
};

// A run of one target, no longer than a piece, that a block works on.
struct Piece {
  int which = 0;
  DeviceTarget target;
  std::int64_t begin = 0;
  int n = 0;
};

// The target of a piece is the last one that begins at or before it; one without elements never is.
__device__ inline Piece find_piece(Global<const DeviceTarget> targets, int count, std::int64_t at) {
  Piece piece;
  int high = count - 1;
  while (piece.which < high) {
    const int middle = (piece.which + high + 1) / 2;
    if (targets[middle].first_piece <= at) {
      piece.which = middle;
    } else {
      high = middle - 1;
    }
  }
  piece.target = targets[piece.which];
  piece.begin = (at - piece.target.first_piece) * kUpdatePiece;
  const std::int64_t rest = piece.target.n - piece.begin;
  piece.n = static_cast<int>(rest < kUpdatePiece ? rest : kUpdatePiece);
  return piece;
}

// The gradient of a piece. It may begin at any element, so a pack is read in one or one by one:
// either way the same thread takes the same elements. One for a float32 variable may lie in 16
// bits.
template <class T>
struct Gradient {
  Global<const T> at;
  Global<const Pack<T>> packs;
  Global<const std::uint16_t> halves;
  NumberFormat format;
  bool aligned;

  __device__ explicit Gradient(const Piece& piece)
      : at(Global<const T>(static_cast<const T*>(piece.target.g)) + piece.begin),
        packs(Global<const Pack<T>>(static_cast<const Pack<T>*>(piece.target.g)) +
              piece.begin / kWide<T>),
        halves(Global<const std::uint16_t>(static_cast<const std::uint16_t*>(piece.target.g)) +
               piece.begin),
        format(format_of(piece.target.g_dtype)),
        aligned(reinterpret_cast<std::uintptr_t>(piece.target.g) % sizeof(Pack<T>) == 0) {}

  __device__ T operator[](std::ptrdiff_t i) const {
    if constexpr (sizeof(T) == 4)
      if (format != NumberFormat::kFull) return from_half(format, halves[i]);
    return at[i];
  }
  __device__ Pack<T> pack(int i) const {
    Pack<T> out;
    if constexpr (sizeof(T) == 4)
      if (format != NumberFormat::kFull && aligned) {
        const Four<float> four = from_halves(format, load_four(halves, i * kWide<T>));
        for (int k = 0; k < kWide<T>; ++k) out.x[k] = four.x[k];
        return out;
      }
    if (aligned) return packs[i];
    for (int k = 0; k < kWide<T>; ++k) out.x[k] = (*this)[i * kWide<T> + k];
    return out;
  }
};

// What a step writes beside w, of a piece: w rounded to 16 bits.
struct RoundedCopy {
  Numbers<float> to;
  NumberFormat format = NumberFormat::kFull;
  std::int64_t begin = 0;

  __device__ explicit RoundedCopy(const Piece& piece) : begin(piece.begin) {
    if (piece.target.copy == nullptr) return;
    to = Numbers<float>::of(piece.target.copy, format_of(piece.target.copy_dtype));
    format = format_of(piece.target.rounded);
  }
  __device__ void put_pack(int i, const Pack<float>& w) const {
    if (format == NumberFormat::kFull) return;
    Four<float> out;
    for (int k = 0; k < 4; ++k) out.x[k] = w.x[k];
    put_four(to, begin + 4 * i, from_halves(format, to_halves(format, out)));
  }
  __device__ void put_one(int i, float w) const {
    if (format != NumberFormat::kFull) put(to, begin + i, as_half(format, w));
  }
};

template <class T>
__global__ void sum_piece_squares(Global<const DeviceTarget> targets, int count,
                                  std::int64_t pieces, Global<double> sums) {
  __shared__ Shared<double, kBlock / kWarp> room;
  const int thread = static_cast<int>(threadIdx.x);
  for (std::int64_t p = blockIdx.x; p < pieces; p += gridDim.x) {
    const Piece piece = find_piece(targets, count, p);
    const Gradient<T> g(piece);
    const int packs = piece.n / kWide<T>;
    double total = 0;
    for (int i = thread; i < packs; i += kBlock) {
      const Pack<T> pack = g.pack(i);
      for (int k = 0; k < kWide<T>; ++k) {
        const auto v = static_cast<double>(pack.x[k]);
        total += v * v;
      }
    }
    for (int i = packs * kWide<T> + thread; i < piece.n; i += kBlock) {
      const auto v = static_cast<double>(g[i]);
      total += v * v;
    }
    total = block_sum<kBlock>(total, room);
    if (thread == 0) sums[p] = total;
    __syncthreads();
  }
}

// Block i makes factors[i], from the sums of target i or, where there are no targets, of all
// pieces. What the loss was multiplied with is taken off.
__global__ void make_clip_factors(Global<const DeviceTarget> targets, std::int64_t pieces,
                                  Global<const double> sums, double limit, double unscale,
                                  Global<const float> loss_scale, Global<double> factors) {
  __shared__ Shared<double, kFactorBlock / kWarp> room;
  std::int64_t first = 0, last = pieces;
  if (targets) {
    const DeviceTarget target = targets[blockIdx.x];
    first = target.first_piece;
    last = first + (target.n + kUpdatePiece - 1) / kUpdatePiece;
  }
  double total = 0;
  for (std::int64_t i = first + threadIdx.x; i < last; i += kFactorBlock) total += sums[i];
  total = block_sum<kFactorBlock>(total, room);
  if (loss_scale) unscale /= static_cast<double>(loss_scale[0]);
  if (threadIdx.x == 0) factors[blockIdx.x] = clip_factor(sqrt(total) * unscale, limit) * unscale;
}

// Where a gradient is not finite, makes every factor NaN, which the step leaves out; moves the
// scale.
__global__ void follow_loss_scale(std::int64_t pieces, Global<const double> sums,
                                  std::int64_t count, Global<double> factors, Global<float> scale,
                                  Global<std::int32_t> good_steps, std::int64_t growth_steps,
                                  Global<const DeviceStep> step) {
  if (step && step->failed != 0) return;
  __shared__ Shared<double, kFactorBlock / kWarp> room;
  double bad = 0;
  for (std::int64_t i = threadIdx.x; i < pieces; i += kFactorBlock)
    if (const double sum = sums[i]; sum - sum != 0) bad += 1;
  const bool finite = block_sum<kFactorBlock>(bad, room) == 0;
  if (threadIdx.x == 0) {
    const LossScale next = after_step({scale[0], good_steps[0]}, finite, growth_steps);
    scale[0] = next.scale;
    good_steps[0] = next.good_steps;
    if (!finite)
      for (std::int64_t i = 0; i < count; ++i) factors[i] = NAN;
  }
}

// factors: null, or one for each target, or (`common`) one for all; NaN: with `may_skip`, no step.
template <class F, class T>
__global__ void step_targets(Global<const DeviceTarget> targets, int count, std::int64_t pieces,
                             Global<const StepNumbers<T>> numbers, Global<const DeviceStep> step,
                             Global<const double> factors, bool common, bool may_skip) {
  if (step && step->failed != 0) return;
  const std::int64_t row = step ? step->index : 0;
  for (std::int64_t p = blockIdx.x; p < pieces; p += gridDim.x) {
    const Piece piece = find_piece(targets, count, p);
    const DeviceTarget& target = piece.target;
    StepNumbers<T> scalars = numbers[row * 2 + target.decay];
    if (factors) scalars.grad_scale = static_cast<T>(factors[common ? 0 : piece.which]);
    if (may_skip && scalars.grad_scale != scalars.grad_scale) continue;
    const Lanes<T> c = lanes_of<T>(scalars);
    const bool decay = scalars.decay != 0;
    const Gradient<T> g(piece);
    const RoundedCopy copy(piece);
    const std::int64_t first_pack = piece.begin / kWide<T>;
    const Global<Pack<T>> w = Global<Pack<T>>(static_cast<Pack<T>*>(target.w)) + first_pack;
    Global<Pack<T>> s[F::kSlots + 1];
    for (int j = 0; j < F::kSlots; ++j)
      s[j] = Global<Pack<T>>(static_cast<Pack<T>*>(target.slots[j])) + first_pack;

    const int packs = piece.n / kWide<T>;
    for (int i = static_cast<int>(threadIdx.x); i < packs; i += kBlock) {
      Pack<T> weight = w[i], slot[F::kSlots + 1];
      const Pack<T> gradient = g.pack(i);
      for (int j = 0; j < F::kSlots; ++j) slot[j] = s[j][i];
      for (int k = 0; k < kWide<T>; ++k) {
        T v[F::kSlots + 1];
        for (int j = 0; j < F::kSlots; ++j) v[j] = slot[j].x[k];
        step_lanes<F>(weight.x[k], gradient.x[k], v, c, decay);
        for (int j = 0; j < F::kSlots; ++j) slot[j].x[k] = v[j];
      }
      for (int j = 0; j < F::kSlots; ++j) s[j][i] = slot[j];
      w[i] = weight;
      if constexpr (sizeof(T) == 4) copy.put_pack(i, weight);
    }
    // Fewer elements than a pack are left at a target's end.
    const int i = packs * kWide<T> + static_cast<int>(threadIdx.x);
    if (i < piece.n) {
      const Global<T> one = Global<T>(static_cast<T*>(target.w)) + piece.begin;
      T v[F::kSlots + 1];
      for (int j = 0; j < F::kSlots; ++j)
        v[j] = Global<const T>(static_cast<const T*>(target.slots[j]))[piece.begin + i];
      T weight = one[i];
      step_lanes<F>(weight, g[i], v, c, decay);
      for (int j = 0; j < F::kSlots; ++j)
        Global<T>(static_cast<T*>(target.slots[j]))[piece.begin + i] = v[j];
      one[i] = weight;
      if constexpr (sizeof(T) == 4) copy.put_one(i, weight);
    }
  }
}

// ---- launches -----------------------------------------------------------------------------------

bool needs_factors(const DeviceUpdate& update) {
  return update.clip_norm > 0 || update.global_clip_norm > 0 || update.loss_scale != nullptr;
}
bool one_factor(const DeviceUpdate& update) { return !(update.clip_norm > 0); }

std::int64_t all_pieces(const DeviceUpdate& update) {
  std::int64_t pieces = 0;
  for (const DeviceTargets& group : update.groups) pieces += group.pieces;
  return pieces;
}
std::int64_t all_targets(const DeviceUpdate& update) {
  std::int64_t targets = 0;
  for (const DeviceTargets& group : update.groups) targets += group.count;
  return targets;
}

std::int64_t factor_count(const DeviceUpdate& update) {
  return one_factor(update) ? 1 : all_targets(update);
}

cuda::Grid grid_of(std::int64_t pieces) { return cuda::grid_for(pieces * kBlock); }

// scratch: the sums of all pieces, then the factors.
void launch_factors(const DeviceUpdate& update, double* sums, double* factors) {
  const double* const all_sums = sums;
  double* const all_factors = factors;
  for (const DeviceTargets& group : update.groups) {
    const auto squares =
        group.dtype == DType::kFloat32 ? sum_piece_squares<float> : sum_piece_squares<double>;
    cuda::launch(update.stream, grid_of(group.pieces), squares, group.targets, group.count,
                 group.pieces, sums);
    if (!one_factor(update)) {
      cuda::launch(update.stream, cuda::Grid{{static_cast<unsigned>(group.count)}, {kFactorBlock}},
                   make_clip_factors, group.targets, group.pieces, static_cast<const double*>(sums),
                   update.clip_norm, update.unscale, static_cast<const float*>(update.loss_scale),
                   factors);
      factors += group.count;
    }
    sums += group.pieces;
  }
  if (one_factor(update))
    cuda::launch(update.stream, cuda::Grid{{1}, {kFactorBlock}}, make_clip_factors,
                 static_cast<const DeviceTarget*>(nullptr), all_pieces(update), all_sums,
                 update.global_clip_norm > 0 ? update.global_clip_norm : HUGE_VAL, update.unscale,
                 static_cast<const float*>(update.loss_scale), factors);
  if (update.loss_scale != nullptr)
    cuda::launch(update.stream, cuda::Grid{{1}, {kFactorBlock}}, follow_loss_scale,
                 all_pieces(update), all_sums, factor_count(update), all_factors, update.loss_scale,
                 update.good_steps, update.growth_steps, update.step);
}

template <class F, class T>
void launch_step(const DeviceUpdate& update, const DeviceTargets& group, const double* factors) {
  cuda::launch(update.stream, grid_of(group.pieces), step_targets<F, T>, group.targets, group.count,
               group.pieces, static_cast<const StepNumbers<T>*>(group.numbers), update.step,
               factors, one_factor(update), update.loss_scale != nullptr);
}

struct Rule {
  std::string_view name;
  void (*step_f32)(const DeviceUpdate&, const DeviceTargets&, const double*);
  void (*step_f64)(const DeviceUpdate&, const DeviceTargets&, const double*);
};
constexpr Rule kRules[] = {
#define DENSA_OPTIMIZER(name, Formula, ...) \
  {#name, &launch_step<Formula, float>, &launch_step<Formula, double>},
#include "ops/optimizer/list.inc"
#undef DENSA_OPTIMIZER
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::size_t update_scratch_bytes(const DeviceUpdate& update) {
  if (!needs_factors(update)) return 0;
  return static_cast<std::size_t>(all_pieces(update) + factor_count(update)) * sizeof(double);
}

void update(const DeviceUpdate& update) {
  const auto rule = std::ranges::find(kRules, std::string_view(update.kind), &Rule::name);
  if (rule == std::end(kRules))
    throw ValueError(cat("optimizer kernel '", update.kind, "' does not run on a GPU"));
  double* factors = nullptr;
  if (needs_factors(update)) {
    auto* const sums = static_cast<double*>(update.scratch);
    factors = sums + all_pieces(update);
    launch_factors(update, sums, factors);
  }
  for (const DeviceTargets& group : update.groups) {
    (group.dtype == DType::kFloat32 ? rule->step_f32 : rule->step_f64)(update, group, factors);
    if (factors != nullptr && !one_factor(update)) factors += group.count;
  }
}

}  // namespace densa::cuda_ops
