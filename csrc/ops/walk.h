// Walking several strided arrays of one shape together, the last (merged) dimension innermost.
#pragma once
#include <array>
#include <cstdint>

#include "base/shape.h"
#include "base/threads.h"
#include "ops/op.h"

namespace densa {

// The strides with which `view` is read as an array of `shape`: 0 along stretched dimensions.
inline Dims broadcast_strides(const View& view, const Dims& shape) {
  Dims strides = shape;
  const int shift = shape.rank() - view.shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    const bool fixed = i < shift || (view.shape[i - shift] == 1 && shape[i] != 1);
    strides[i] = fixed ? 0 : view.strides[i - shift];
  }
  return strides;
}

// Work that is worth a second thread, in elements.
inline constexpr std::int64_t kParallelGrain = 32768;

template <std::size_t N>
class Walk {
 public:
  using Offsets = std::array<std::int64_t, N>;

  // Drops dimensions of size 1 and merges those that every array steps through as one.
  Walk(const Dims& shape, const std::array<Dims, N>& strides) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == 0) empty_ = true;
      if (shape[i] == 1) continue;
      bool merge = rank_ > 0;
      for (std::size_t k = 0; merge && k < N; ++k)
        merge = strides_[k][rank_ - 1] == strides[k][i] * shape[i];
      if (merge) {
        shape_[rank_ - 1] *= shape[i];
      } else {
        shape_[rank_++] = shape[i];
      }
      for (std::size_t k = 0; k < N; ++k) strides_[k][rank_ - 1] = strides[k][i];
    }
    if (rank_ == 0) {
      shape_[rank_] = 1;
      for (std::size_t k = 0; k < N; ++k) strides_[k][rank_] = 1;
      ++rank_;
    }
  }

  std::int64_t inner() const { return shape_[rank_ - 1]; }
  std::int64_t step(std::size_t k) const { return strides_[k][rank_ - 1]; }

  // Calls f(offsets, n) for runs of at most `inner()` elements that cover everything once, on
  // several threads when there is enough work. Runs are disjoint; f must treat elements alone.
  template <class F>
  void run(const F& f) const {
    run_each(&f, [](const void* body, const Offsets& at, std::int64_t n) {
      (*static_cast<const F*>(body))(at, n);
    });
  }

 private:
  // The walk itself is code once for each N, not for each f.
  using Each = void (*)(const void* body, const Offsets& at, std::int64_t n);

  void run_each(const void* body, Each each) const {
    if (empty_) return;
    std::int64_t outer = 1;
    for (int i = 0; i + 1 < rank_; ++i) outer *= shape_[i];
    if (outer == 1) {
      parallel_for(inner(), kParallelGrain, [&](std::int64_t begin, std::int64_t end) {
        Offsets at{};
        for (std::size_t k = 0; k < N; ++k) at[k] = begin * step(k);
        each(body, at, end - begin);
      });
      return;
    }
    const std::int64_t grain = 1 + kParallelGrain / inner();
    parallel_for(outer, grain,
                 [&](std::int64_t begin, std::int64_t end) { rows(begin, end, body, each); });
  }

  void rows(std::int64_t begin, std::int64_t end, const void* body, Each each) const {
    std::array<std::int64_t, kMaxRank> index{};
    Offsets at{};
    std::int64_t rest = begin;
    for (int i = rank_ - 2; i >= 0; --i) {
      index[i] = rest % shape_[i];
      rest /= shape_[i];
      for (std::size_t k = 0; k < N; ++k) at[k] += index[i] * strides_[k][i];
    }
    for (std::int64_t row = begin; row < end; ++row) {
      each(body, at, inner());
      for (int i = rank_ - 2; i >= 0; --i) {
        for (std::size_t k = 0; k < N; ++k) at[k] += strides_[k][i];
        if (++index[i] < shape_[i]) break;
        for (std::size_t k = 0; k < N; ++k) at[k] -= strides_[k][i] * shape_[i];
        index[i] = 0;
      }
    }
  }

  int rank_ = 0;
  bool empty_ = false;
  std::array<std::int64_t, kMaxRank> shape_{};
  std::array<std::array<std::int64_t, kMaxRank>, N> strides_{};
};

// Runs a kernel that reads contiguous memory over inputs of any strides: f(dst, src, scalar, n)
// with src[k] contiguous or, where scalar[k], one element for all. `out` is contiguous.
template <class T, std::size_t N, class F>
void map_rows(const View& out, const std::array<View, N>& in, const F& f) {
  std::array<Dims, N + 1> strides;
  strides[0] = contiguous_strides(out.shape);
  for (std::size_t k = 0; k < N; ++k) strides[k + 1] = broadcast_strides(in[k], out.shape);
  const Walk<N + 1> walk(out.shape, strides);
  std::array<bool, N> scalar{}, gather{};
  bool any = false;
  for (std::size_t k = 0; k < N; ++k) {
    const std::int64_t step = walk.step(k + 1);
    scalar[k] = step == 0 && walk.inner() > 1;
    gather[k] = step != 1 && !scalar[k] && walk.inner() > 1;
    any = any || gather[k];
  }
  T* const dst = out.as<T>();
  walk.run([&](const typename Walk<N + 1>::Offsets& at, std::int64_t n) {
    constexpr std::int64_t kBlock = 512;
    alignas(64) T block[N][kBlock];
    std::array<const T*, N> src;
    for (std::int64_t i = 0; i < n;) {
      const std::int64_t m = any && n - i > kBlock ? kBlock : n - i;
      for (std::size_t k = 0; k < N; ++k) {
        const std::int64_t step = walk.step(k + 1);
        const T* p = in[k].template as<const T>() + at[k + 1] + (scalar[k] ? 0 : i * step);
        src[k] = p;
        if (!gather[k]) continue;
        for (std::int64_t j = 0; j < m; ++j) block[k][j] = p[j * step];
        src[k] = block[k];
      }
      f(dst + at[0] + i, src, scalar, static_cast<std::size_t>(m));
      i += m;
    }
  });
}

}  // namespace densa
