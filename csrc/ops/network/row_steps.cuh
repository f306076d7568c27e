// The kernel behind network and row_program: a block takes a tile of rows through the steps of a
// program. Values of a row stay in shared memory; weights come coalesced through the caches. All
// threads of a block share one step, so branches are the same for all.
#pragma once
#include <algorithm>

#include "base/philox.h"
#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "ops/backend.h"
#include "ops/batch_norm/formula.h"
#include "ops/dropout/keep.h"
#include "ops/elementwise/numbered.h"
#include "ops/loss/device_labels.cuh"
#include "ops/loss/formula.h"
#include "ops/network/row_program.h"
#include "ops/random/draw.h"
#include "ops/reduce/formula.h"
#include "ops/softmax/formula.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kBlock = static_cast<int>(cuda::kThreads);
constexpr int kWarps = kBlock / kWarp;

// Rows of a block: many where there are enough rows for many blocks, and they fit.
template <class T>
inline constexpr int kMostTile = sizeof(T) == 4 ? 16 : 8;
constexpr int kEach = 4;  // rows of a thread in the large tile

template <class T>
using Tile = Shared<T, kTileBytes / static_cast<int>(sizeof(T))>;  // [row][column]

template <class T>
struct RowMask {
  PhiloxKey key;
  Draw draw;
  Keep<T> keep;
};

template <class T>
struct RowCall {
  std::int64_t rows = 0, sum_size = 0;
  int tile = 0, count = 0, columns = 0;
  Global<T> sums;  // [block][sum_size]
  Global<const DeviceStep> plan;
  DeviceLabels labels;
  RowMask<T> masks[kMostRowMasks];
  Global<const T> in[kMostRowInputs];
  Global<T> out[kMostRowOutputs];
  RowStep steps[kMostRowSteps];
};

// Memory of a program's inputs and outputs: float32 numbers may lie in 16 bits.
template <class T>
__device__ auto memory_at(const Global<T>& data, NumberFormat format) {
  if constexpr (sizeof(T) == 4) {
    return Numbers<T>::at(data, format);
  } else {
    return data;
  }
}
template <class T>
__device__ T rounded_to(NumberFormat format, T x) {
  if constexpr (sizeof(T) == 4)
    if (format != NumberFormat::kFull) return as_half(format, x);
  return x;
}

// One step of one tile.
template <class T>
struct RowWork {
  const RowCall<T>& call;
  const RowStep& step;
  Tile<T>& tile;
  std::int64_t first;  // row of the batch
  int rows;            // of the tile that are there

  __device__ int place(int row, int column) const { return row * call.columns + column; }
  __device__ T read(RowOperand from, int row, int column) const {
    switch (from.kind()) {
      case RowOperand::kColumns: return tile[place(row, from.index() + column)];
      case RowOperand::kColumn: return tile[place(row, from.index())];
      case RowOperand::kScalar: column = 0; [[fallthrough]];
      default:
        if (from.format() == NumberFormat::kFull) return call.in[from.index()][column];
        return memory_at(call.in[from.index()], from.format())[column];
    }
  }
  __device__ Global<const T> input(int after = 0) const { return call.in[step.c.index() + after]; }
  // Where the sum over rows of this block lies, and whether it begins here.
  __device__ Global<T> sum() const {
    return call.sums + static_cast<std::int64_t>(blockIdx.x) * call.sum_size + step.sum;
  }
  __device__ bool begins() const { return first == std::int64_t{blockIdx.x} * call.tile; }
};

template <class T>
__device__ T binary_value(int which, T a, T b) {
  switch (which) {
    case 0: return AddPair{}.value(a, b);
    case 1: return SubtractPair{}.value(a, b);
    case 2: return MultiplyPair{}.value(a, b);
    case 3: return DividePair{}.value(a, b);
    case 4: return MaximumPair{}.value(a, b);
    case 5: return MinimumPair{}.value(a, b);
    default: return SigmoidCrossEntropyPair{}.value(a, b);
  }
}

template <class T>
__device__ T kept(const RowMask<T>& mask, Global<const DeviceStep> plan, std::int64_t i, T x) {
  const std::uint64_t step = mask.draw.at(plan == nullptr ? 0 : plan->step);
  const PhiloxBlock block = philox(mask.key, step, static_cast<std::uint64_t>(i) / 4);
  return mask.keep.of(block.word[i % 4], x);
}

template <class T>
__device__ void run_elements(const RowWork<T>& work) {
  const RowStep& s = work.step;
  const auto which = static_cast<Formula>(s.fn);
  const bool sloped = s.kind == RowStepKind::kSlope || s.kind == RowStepKind::kPair;
  const bool valued =
      s.kind == RowStepKind::kUnary || s.kind == RowStepKind::kPair || s.kind == RowStepKind::kNorm;
  const bool paired = s.kind == RowStepKind::kSlope || s.kind == RowStepKind::kBinary;
  const bool loads = s.kind == RowStepKind::kLoad, stores = s.kind == RowStepKind::kStore;
  decltype(memory_at(work.call.in[0], NumberFormat::kFull)) from{};
  decltype(memory_at(work.call.out[0], NumberFormat::kFull)) to{};
  if (loads) from = memory_at(work.call.in[s.a.index()], s.a.format());
  if (stores) to = memory_at(work.call.out[s.b.index()], s.b.format());
  DENSA_ROLLED
  for (int i = static_cast<int>(threadIdx.x); i < work.rows * s.wide; i += kBlock) {
    const int row = i / s.wide, column = i - row * s.wide;
    const std::int64_t at = work.first * s.wide + i;
    T x{}, y{};
    DENSA_ROLLED
    for (int k = paired ? 1 : 0; k >= 0; --k) {  // a last; one copy of the code that reads
      y = x;
      x = loads ? from[at] : work.read(k == 0 ? s.a : s.b, row, column);
    }
    const T b = y;
    y = x;
    if (sloped) y = slope_from_saved<true>(which, s.parameter, x);
    switch (s.kind) {
      case RowStepKind::kStore: put(to, at, x); continue;
      case RowStepKind::kPair:
        work.tile.set(work.place(row, s.out2 + column), rounded_to(s.rounding(1), y));
        break;
      case RowStepKind::kSlope: y = b * y; break;
      case RowStepKind::kBinary: y = binary_value(s.fn, x, b); break;
      case RowStepKind::kDropout: y = kept(work.call.masks[s.fn], work.call.plan, at, x); break;
      case RowStepKind::kNorm: {
        const T scale = BatchNormOf::scale(work.input()[column], work.input(3)[column],
                                           static_cast<T>(s.parameter));
        x = BatchNormOf::value(x, work.input(2)[column], scale, work.input(1)[column]);
        break;
      }
      default: break;
    }
    // The parameter of a norm is its epsilon: its formula has none.
    if (valued)
      y = s.fn < 0 ? x : any_formula(which, s.kind == RowStepKind::kNorm ? 0 : s.parameter, x);
    work.tile.set(work.place(row, s.out + column), rounded_to(s.rounding(), y));
  }
}

// Numbers first, first + stride ... of a weight: loads first, then what 16 bits take.
template <int kCount, class T, class Weights>
__device__ void load_weights(const Weights& from, int first, int stride, T (&w)[kCount]) {
  if constexpr (sizeof(T) == 4) {
    if (from.format != NumberFormat::kFull) {
      Four<std::uint16_t> halves[kCount / 4];
      DENSA_UNROLL
      for (int j = 0; j < kCount; ++j) halves[j / 4].x[j % 4] = from.half()[first + j * stride];
      DENSA_UNROLL
      for (int j = 0; j < kCount; j += 4) {
        const Four<float> four = from_halves(from.format, halves[j / 4]);
        DENSA_UNROLL
        for (int q = 0; q < 4; ++q) w[j + q] = four.x[q];
      }
      return;
    }
    const auto full = from.full();
    DENSA_UNROLL
    for (int j = 0; j < kCount; ++j) w[j] = full[first + j * stride];
  } else {
    DENSA_UNROLL
    for (int j = 0; j < kCount; ++j) w[j] = from[first + j * stride];
  }
}

// Thread after thread takes a column of kHeld rows; a sum begins with its bias and adds k in
// ascending order. Loads of x are broadcasts, of four k at once.
template <int kHeld, class T>
__device__ void run_dense(const RowWork<T>& work) {
  constexpr int kAhead = kHeld == 1 ? 16 : 4;  // weights on their way at once: few threads wait
  const RowStep& s = work.step;
  const int in = s.in, wide = s.wide;
  const auto weights = memory_at(work.input(), s.c.format());
  const int count = (work.rows + kHeld - 1) / kHeld * wide;
  DENSA_ROLLED
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kBlock) {
    const int column = i % wide, row = i / wide * kHeld;
    int x[kHeld];  // rows past the end are the last one once more
    T z[kHeld];
    const T start = (s.flags & kHasBias) != 0 ? work.input(1)[column] : T{};
    DENSA_UNROLL
    for (int r = 0; r < kHeld; ++r) {
      x[r] = work.place(row + r < work.rows ? row + r : work.rows - 1, s.a.index());
      z[r] = start;
    }
    int k = 0;
    DENSA_ROLLED
    for (; k + kAhead <= in; k += kAhead) {
      T w[kAhead];
      load_weights(weights, k * wide + column, wide, w);
      DENSA_UNROLL
      for (int r = 0; r < kHeld; ++r) {
        DENSA_UNROLL
        for (int j = 0; j < kAhead; j += 4) {
          const Four<T> four = work.tile.four(x[r] + k + j);
          DENSA_UNROLL
          for (int q = 0; q < 4; ++q) z[r] = mul_add(four.x[q], w[j + q], z[r]);
        }
      }
    }
    DENSA_ROLLED
    for (; k < in; ++k) {
      const T w = weights[k * wide + column];
      DENSA_UNROLL
      for (int r = 0; r < kHeld; ++r) z[r] = mul_add(work.tile[x[r] + k], w, z[r]);
    }
    DENSA_UNROLL
    for (int r = 0; r < kHeld; ++r)
      if (row + r < work.rows) work.tile.set(work.place(row + r, s.out + column), z[r]);
    if (s.fn < 0 && s.rounds == 0) continue;
    DENSA_ROLLED
    for (int r = 0; r < kHeld && row + r < work.rows; ++r) {  // one copy of the call
      const int at = work.place(row + r, s.out + column);
      T y = work.tile[at];
      if (s.fn >= 0) y = any_formula(static_cast<Formula>(s.fn), s.parameter, y);
      work.tile.set(at, rounded_to(s.rounding(), y));
    }
  }
}

// dz w': as many lanes of a warp as dz has columns go along a row of w, for four rows at a time,
// and join their sums in a tree that the number of columns decides.
template <class T>
__device__ void run_backward(const RowWork<T>& work) {
  const RowStep& s = work.step;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
  int lanes = 1;
  while (lanes < s.in && lanes < kWarp) lanes *= 2;
  const int at_once = kBlock / lanes, in_warp = kWarp / lanes;
  const auto w = memory_at(work.input(), s.c.format());
  DENSA_ROLLED
  for (int row = 0; row < work.rows; row += kEach) {
    int dz[kEach];
    DENSA_UNROLL
    for (int r = 0; r < kEach; ++r)
      dz[r] = work.place(row + r < work.rows ? row + r : work.rows - 1, s.a.index());
    DENSA_ROLLED
    for (int base = thread / kWarp * in_warp; base < s.wide; base += at_once) {
      const int i = base + lane / lanes;
      T sum[kEach] = {};
      if (i < s.wide)
        for (int j = lane % lanes; j < s.in; j += lanes) {
          const T weight = w[i * s.in + j];
          DENSA_UNROLL
          for (int r = 0; r < kEach; ++r) sum[r] = mul_add(work.tile[dz[r] + j], weight, sum[r]);
        }
      DENSA_ROLLED
      for (int mask = lanes / 2; mask > 0; mask /= 2) {
        DENSA_UNROLL
        for (int r = 0; r < kEach; ++r) sum[r] += shuffle_xor(sum[r], mask);
      }
      if (i < s.wide && lane % lanes == 0) {
        DENSA_UNROLL
        for (int r = 0; r < kEach; ++r)
          if (row + r < work.rows)
            work.tile.set(work.place(row + r, s.out + i), rounded_to(s.rounding(), sum[r]));
      }
    }
  }
}

// x' dz, or, where `ones`, the sum of dz: a thread takes each kBlock-th element.
template <class T>
__device__ void run_sum_over_rows(const RowWork<T>& work, bool ones) {
  const RowStep& s = work.step;
  const int dz = ones ? s.a.index() : s.b.index();
  const Global<T> sums = work.sum();
  const bool begins = work.begins();
  const int down = kBlock / s.wide, right = kBlock - down * s.wide;
  int i = static_cast<int>(threadIdx.x) / s.wide;
  int j = static_cast<int>(threadIdx.x) - i * s.wide;
  DENSA_ROLLED
  while (i < s.in) {
    const int at = i * s.wide + j;
    T sum = begins ? T{} : sums[at];
    DENSA_ROLLED
    for (int row = 0; row < work.rows; ++row) {
      const T d = work.tile[work.place(row, dz + j)];
      sum = ones ? sum + d : mul_add(work.tile[work.place(row, s.a.index() + i)], d, sum);
    }
    sums[at] = sum;
    i += down;
    j += right;
    if (j >= s.wide) {
      j -= s.wide;
      ++i;
    }
  }
}

template <class T>
__device__ void run_total(const RowWork<T>& work, Shared<T, kWarps>& room) {
  const RowStep& s = work.step;
  T sum{};
  DENSA_ROLLED
  for (int i = static_cast<int>(threadIdx.x); i < work.rows * s.wide; i += kBlock)
    sum += work.tile[work.place(i / s.wide, s.a.index() + i % s.wide)];
  sum = block_sum<kBlock>(sum, room);
  if (threadIdx.x == 0) work.sum()[0] = work.begins() ? sum : work.sum()[0] + sum;
}

template <class Join, class T>
__device__ T over_warp(T x) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) x = Join::of(x, shuffle_xor(x, mask));
  return x;
}

// What a step makes of a whole row: a warp for each.
template <class T>
__device__ void run_row(const RowWork<T>& work, int row) {
  const RowStep& s = work.step;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, n = s.in;
  const auto z = [&](int c) { return work.tile[work.place(row, s.a.index() + c)]; };
  const auto power = [](T x, T top) { return any_formula(Formula::k_exp, 0, x - top); };
  T own{};
  if (s.kind == RowStepKind::kRowSum) {
    DENSA_ROLLED
    for (int c = lane; c < n; c += kWarp) own += z(c);
    own = over_warp<Add>(own);
    if ((s.flags & kIsMean) != 0) own /= static_cast<T>(n);
    if (lane == 0) work.tile.set(work.place(row, s.out), own);
    return;
  }
  T top = static_cast<T>(Larger::kNeutral);
  DENSA_ROLLED
  for (int c = lane; c < n; c += kWarp) top = Larger::of(top, z(c));
  top = over_warp<Larger>(top);
  const bool has_labels = (s.flags & kHasLabels) != 0;
  const std::int64_t label = has_labels ? work.call.labels.at(work.first + row) : 0;
  if (s.kind == RowStepKind::kAccuracy) {  // a row with a NaN has no largest score: wrong
    int at = n;
    DENSA_ROLLED
    for (int c = lane; c < n && at == n; c += kWarp)
      if (z(c) == top) at = c;
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      const int other = shuffle_xor(at, mask);
      at = other < at ? other : at;
    }
    if (lane == 0) work.tile.set(work.place(row, s.out), static_cast<T>(at == label && at < n));
    return;
  }
  DENSA_ROLLED
  for (int c = lane; c < n; c += kWarp) own += power(z(c), top);
  const T sum = over_warp<Add>(own);
  if (s.kind == RowStepKind::kSoftmax) {
    DENSA_ROLLED
    for (int c = lane; c < n; c += kWarp)
      work.tile.set(work.place(row, s.out + c), SoftmaxShare::value(power(z(c), top), sum));
    return;
  }
  const T smoothing = static_cast<T>(s.parameter);
  const T keep = T{1} - smoothing, even = smoothing / static_cast<T>(n);
  const auto target = [&](int c) {
    if (has_labels) return static_cast<T>(c == label);
    const T t = work.tile[work.place(row, s.b.index() + c)];
    return smoothing != T{0} ? CrossEntropy::smoothed(t, keep, even) : t;
  };
  T weight{}, terms{};
  DENSA_ROLLED
  for (int c = lane; c < n; c += kWarp) {
    const T t = target(c);
    weight += t;
    terms += CrossEntropy::term(t, top, z(c));
  }
  weight = over_warp<Add>(weight);
  terms = over_warp<Add>(terms);
  const bool valid = !has_labels || (label >= 0 && label < n);
  const T nan = static_cast<T>(__builtin_nan(""));
  if (lane == 0)
    work.tile.set(
        work.place(row, s.out),
        valid ? CrossEntropy::loss(weight, any_formula(Formula::k_log, 0, sum), terms) : nan);
  if ((s.flags & kLossAlone) != 0) return;
  const T dy = work.read(s.c, row, 0), factor = CrossEntropy::factor(dy, weight, sum);
  DENSA_ROLLED
  for (int c = lane; c < n; c += kWarp) {
    const T d = power(z(c), top) * factor - dy * target(c);
    work.tile.set(work.place(row, s.out2 + c), valid ? d : nan);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock) run_rows(RowCall<T> a) {
  __shared__ Tile<T> tile;
  __shared__ Shared<T, kWarps> room;
  for (std::int64_t first = std::int64_t{blockIdx.x} * a.tile; first < a.rows;
       first += std::int64_t{gridDim.x} * a.tile) {
    const std::int64_t left = a.rows - first;
    const int rows = left < a.tile ? static_cast<int>(left) : a.tile;
    DENSA_ROLLED
    for (int i = 0; i < a.count; ++i) {
      const RowWork<T> work{a, a.steps[i], tile, first, rows};
      switch (work.step.kind) {
        case RowStepKind::kDense:
          if (a.tile == kLeastTile) {
            run_dense<1>(work);
          } else {
            run_dense<kEach>(work);
          }
          break;
        case RowStepKind::kBackward: run_backward(work); break;
        case RowStepKind::kWeightSum:
        case RowStepKind::kColumnSum:
          run_sum_over_rows(work, work.step.kind == RowStepKind::kColumnSum);
          break;
        case RowStepKind::kTotal: run_total(work, room); break;
        case RowStepKind::kRowSum:
        case RowStepKind::kSoftmax:
        case RowStepKind::kLoss:
        case RowStepKind::kAccuracy:
          DENSA_ROLLED
          for (int row = static_cast<int>(threadIdx.x) / kWarp; row < rows; row += kWarps)
            run_row(work, row);
          break;
        default: run_elements(work);
      }
      __syncthreads();
    }
  }
}

// ---- the sums of the blocks ---------------------------------------------------------------------

template <class T>
struct SumOutput {
  typename FloatMemory<T>::Out out;
  std::int64_t begin = 0;
  std::int64_t count = 0;  // 0, or that by which a mean is divided
};

template <class T>
struct SumCall {
  std::int64_t size = 0;
  int blocks = 0, outputs = 0;
  Global<const T> sums;
  SumOutput<T> output[kMostRowSums];
};

// A block joins 32 neighbouring sums: each of its warps adds every eighth block's, in order, then
// the warps' are added in order.
template <class T>
__global__ void __launch_bounds__(kBlock) join_sums(SumCall<T> a) {
  __shared__ Shared<T, kBlock> room;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp;
  const std::int64_t at = std::int64_t{blockIdx.x} * kWarp + thread % kWarp;
  T sum{};
  if (at < a.size)
    for (int b = warp; b < a.blocks; b += kWarps) sum += a.sums[b * a.size + at];
  room.set(thread, sum);
  __syncthreads();
  if (warp != 0 || at >= a.size) return;
  for (int w = 1; w < kWarps; ++w) sum += room[thread + w * kWarp];
  int low = 0, high = a.outputs - 1;  // the last output that begins at or before `at`
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (a.output[middle].begin <= at) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  const SumOutput<T>& output = a.output[low];
  put(output.out, at - output.begin, output.count == 0 ? sum : sum / static_cast<T>(output.count));
}

}  // namespace
}  // namespace densa::inline DENSA_ISA
