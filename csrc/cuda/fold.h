// Reductions over any axes of row-major arrays.
//
// Each result folds `count` elements. Where a reduced axis is innermost, a part of a warp or a
// block goes along it (rows); else neighbouring threads have neighbouring results (columns). Where
// that makes few blocks, the elements are cut into parts, and a second launch folds the parts'
// results. A thread adds 4 sequences of at most 16 elements, joins them and goes on; threads join
// in a tree. All of this depends on shapes alone.
//
// A fold is a functor, passed by value:
//
//   Acc                      what is joined; at most two numbers (Pair)
//   Local local(k)           what all elements of result k share
//   Acc load(at, i, local)   element i of a result; it lies at offset `at`
//   Acc neutral(), Acc join(a, b)
//   void store(k, acc)       result k is complete
#pragma once
#include <algorithm>
#include <array>
#include <bit>

#include "cuda/strided.h"

namespace densa::inline DENSA_ISA {

template <class A, class B>
struct Pair {
  A first;
  B second;
};

template <class T>
__device__ T exchange(T x, int mask) {
  return shuffle_xor(x, mask);
}
template <class A, class B>
__device__ Pair<A, B> exchange(Pair<A, B> x, int mask) {
  return {shuffle_xor(x.first, mask), shuffle_xor(x.second, mask)};
}

struct FoldShape {
  Strided<1> kept, reduced;
  std::int64_t results = 1, count = 1;
  bool rows = false;  // threads go along the reduced axes
  int width = 1;      // rows: threads per result; columns: results side by side in a block
  std::int64_t parts = 1, part = 0;  // how many, elements in each

  static constexpr int kThreads = 256;
  static constexpr std::int64_t kBlocks = 1024;  // more than these are not made by cutting
  static constexpr std::int64_t kLeast = 8;      // elements of a thread that are worth a part
  static constexpr int kNarrow = 512;            // a row up to here is a warp's, else a block's

  static FoldShape of(const Dims& shape, const std::array<bool, kMaxRank>& is_reduced) {
    FoldShape out;
    Dims kept, kept_steps, reduced, reduced_steps;
    std::int64_t step = 1;
    std::array<std::int64_t, kMaxRank> steps{};
    for (int i = shape.rank() - 1; i >= 0; --i) {
      steps[i] = step;
      step *= shape[i];
    }
    for (int i = 0; i < shape.rank(); ++i) {
      (is_reduced[i] ? out.count : out.results) *= shape[i];
      (is_reduced[i] ? reduced : kept).push_back(shape[i]);
      (is_reduced[i] ? reduced_steps : kept_steps).push_back(steps[i]);
      if (shape[i] != 1) out.rows = is_reduced[i];
    }
    out.kept = Strided<1>::of(kept, {kept_steps});
    out.reduced = Strided<1>::of(reduced, {reduced_steps});
    std::int64_t blocks, most;
    if (out.rows) {
      const auto lanes = std::bit_ceil(static_cast<std::uint64_t>(
          std::max<std::int64_t>(1, std::min<std::int64_t>(out.count, kWarp))));
      out.width = out.count <= kNarrow ? static_cast<int>(lanes) : kThreads;
      blocks = out.results;
      most = out.count <= kNarrow ? 1 : out.count / (kThreads * kLeast);
    } else {
      out.width = out.results <= 64 ? static_cast<int>(std::max<std::int64_t>(out.results, 1)) : 32;
      blocks = out.tiles();
      most = out.count / (kThreads / out.width * kLeast);
    }
    if (blocks > 0) out.parts = std::max<std::int64_t>(1, std::min(kBlocks / blocks, most));
    out.part = (out.count + out.parts - 1) / out.parts;
    return out;
  }

  // The same in one part.
  FoldShape whole() const {
    FoldShape out = *this;
    out.parts = 1;
    out.part = count;
    return out;
  }

  std::int64_t tiles() const { return (results + width - 1) / width; }

  // Room for the parts' results, for this shape and for all with fewer rows.
  static std::size_t scratch_bytes(const Dims& shape, const std::array<bool, kMaxRank>& is_reduced,
                                   std::size_t acc_bytes) {
    const FoldShape largest = of(shape, is_reduced);
    const std::int64_t results = largest.results, count = largest.count;
    const std::int64_t by_rows = std::min(kBlocks, results * (count / (kThreads * kLeast)));
    const std::int64_t by_columns =
        std::min(kBlocks * std::min<std::int64_t>(results, 64), results * (count / (4 * kLeast)));
    return static_cast<std::size_t>(std::max(by_rows, by_columns)) * acc_bytes;
  }
};

// Elements begin, begin + step, ... before `end` of result k.
template <class F>
__device__ typename F::Acc fold_sequence(const F& f, const FoldShape& shape, std::int64_t k,
                                         std::int64_t begin, std::int64_t step, std::int64_t end) {
  std::int64_t base[1];
  shape.kept.locate(k, base);
  const typename F::Local local = f.local(k);
  const auto element = [&](std::int64_t i) {
    std::int64_t at[1];
    shape.reduced.locate(i, at);
    return f.load(base[0] + at[0], i, local);
  };
  typename F::Acc total = f.neutral();
  while (begin < end) {
    typename F::Acc a = f.neutral(), b = a, c = a, d = a;
    int round = 0;
    for (; round < 16 && begin + 3 * step < end; ++round, begin += 4 * step) {
      a = f.join(a, element(begin));
      b = f.join(b, element(begin + step));
      c = f.join(c, element(begin + 2 * step));
      d = f.join(d, element(begin + 3 * step));
    }
    if (round < 16)
      for (; begin < end; begin += step) a = f.join(a, element(begin));
    total = f.join(total, f.join(f.join(a, b), f.join(c, d)));
  }
  return total;
}

template <class F>
__global__ void fold_narrow_rows(F f, FoldShape shape) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, per_warp = kWarp / shape.width;
  const std::int64_t warps = GridStride::step() / kWarp;
  for (std::int64_t w = GridStride::begin() / kWarp; w * per_warp < shape.results; w += warps) {
    const std::int64_t k = w * per_warp + lane / shape.width;
    typename F::Acc acc = f.neutral();
    if (k < shape.results)
      acc = fold_sequence(f, shape, k, lane % shape.width, shape.width, shape.count);
    for (int mask = shape.width / 2; mask > 0; mask /= 2) acc = f.join(acc, exchange(acc, mask));
    if (k < shape.results && lane % shape.width == 0) f.store(k, acc);
  }
}

template <class F>
__global__ void fold_wide_rows(F f, FoldShape shape) {
  constexpr int kWarps = FoldShape::kThreads / kWarp;
  __shared__ Shared<typename F::Acc, kWarps> room;
  const int t = static_cast<int>(threadIdx.x);
  for (std::int64_t u = blockIdx.x; u < shape.results * shape.parts; u += gridDim.x) {
    const std::int64_t k = u / shape.parts, begin = (u - k * shape.parts) * shape.part;
    const std::int64_t end = begin + shape.part < shape.count ? begin + shape.part : shape.count;
    typename F::Acc acc = fold_sequence(f, shape, k, begin + t, FoldShape::kThreads, end);
    for (int mask = kWarp / 2; mask > 0; mask /= 2) acc = f.join(acc, exchange(acc, mask));
    if (t % kWarp == 0) room.set(t / kWarp, acc);
    __syncthreads();
    if (t == 0) {
      for (int warp = 1; warp < kWarps; ++warp) acc = f.join(acc, room[warp]);
      f.store(u, acc);
    }
    __syncthreads();
  }
}

template <class F>
__global__ void fold_columns(F f, FoldShape shape) {
  __shared__ Shared<typename F::Acc, FoldShape::kThreads> room;
  const int t = static_cast<int>(threadIdx.x), width = shape.width;
  const int deep = FoldShape::kThreads / width, row = t / width;
  const std::int64_t tiles = (shape.results + width - 1) / width;
  for (std::int64_t u = blockIdx.x; u < tiles * shape.parts; u += gridDim.x) {
    const std::int64_t part = u / tiles, k = (u - part * tiles) * width + t % width;
    const std::int64_t begin = part * shape.part;
    const std::int64_t end = begin + shape.part < shape.count ? begin + shape.part : shape.count;
    const bool inside = row < deep && k < shape.results;
    typename F::Acc acc = f.neutral();
    if (inside) acc = fold_sequence(f, shape, k, begin + row, deep, end);
    room.set(t, acc);
    int half = 1;
    while (2 * half < deep) half *= 2;
    for (; half > 0; half /= 2) {
      __syncthreads();
      if (row < half && row + half < deep) {
        acc = f.join(acc, room[t + half * width]);
        room.set(t, acc);
      }
    }
    if (inside && row == 0) f.store(part * shape.results + k, acc);
    __syncthreads();
  }
}

// F, but what a part gave goes to scratch. Parts of rows lie side by side, of columns one below the
// other, so that the second stage reads them like the first.
template <class F>
struct ToParts {
  using Acc = typename F::Acc;
  using Local = typename F::Local;
  F f;
  Global<Acc> to;
  __device__ Local local(std::int64_t k) const { return f.local(k); }
  __device__ Acc load(std::int64_t at, std::int64_t i, const Local& local) const {
    return f.load(at, i, local);
  }
  __device__ Acc neutral() const { return f.neutral(); }
  __device__ Acc join(const Acc& a, const Acc& b) const { return f.join(a, b); }
  __device__ void store(std::int64_t u, const Acc& acc) const { to[u] = acc; }
};

template <class F>
struct FromParts {
  using Acc = typename F::Acc;
  struct Local {};
  F f;
  Global<const Acc> from;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ Acc load(std::int64_t at, std::int64_t, Local) const { return from[at]; }
  __device__ Acc neutral() const { return f.neutral(); }
  __device__ Acc join(const Acc& a, const Acc& b) const { return f.join(a, b); }
  __device__ void store(std::int64_t k, const Acc& acc) const { f.store(k, acc); }
};

template <class F>
void launch_fold_stage(cuda::Stream stream, const F& f, const FoldShape& shape) {
  constexpr unsigned kMost = 1 << 14;
  const auto grid = [](std::int64_t blocks) {
    return cuda::Grid{{static_cast<unsigned>(std::min<std::int64_t>(blocks, kMost))},
                      {static_cast<unsigned>(FoldShape::kThreads)}};
  };
  if (!shape.rows) {
    cuda::launch(stream, grid(shape.tiles() * shape.parts), fold_columns<F>, f, shape);
  } else if (shape.width == FoldShape::kThreads) {
    cuda::launch(stream, grid(shape.results * shape.parts), fold_wide_rows<F>, f, shape);
  } else {
    const std::int64_t in_block = FoldShape::kThreads / shape.width;
    cuda::launch(stream, grid((shape.results + in_block - 1) / in_block), fold_narrow_rows<F>, f,
                 shape);
  }
}

// `scratch` has FoldShape::scratch_bytes(..., sizeof(F::Acc)) bytes.
template <class F>
void launch_fold(cuda::Stream stream, const F& f, const FoldShape& shape, void* scratch) {
  if (shape.parts == 1) return launch_fold_stage(stream, f, shape);
  auto* const parts = static_cast<typename F::Acc*>(scratch);
  launch_fold_stage(stream, ToParts<F>{f, Global<typename F::Acc>(parts)}, shape);
  const Dims second =
      shape.rows ? Dims{shape.results, shape.parts} : Dims{shape.parts, shape.results};
  std::array<bool, kMaxRank> is_reduced{};
  is_reduced[shape.rows ? 1 : 0] = true;
  launch_fold_stage(stream, FromParts<F>{f, Global<const typename F::Acc>(parts)},
                    FoldShape::of(second, is_reduced).whole());
}

}  // namespace densa::inline DENSA_ISA
