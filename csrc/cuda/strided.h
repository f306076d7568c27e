// One thread per element over operands of any strides: what elementwise ops share.
//
//   launch_map<R, T, U>(stream, f, out, a, b)
//
// computes out[i] = f(a[j], b[k]) with NumPy's broadcasting; f is a functor passed by value, R, T
// and U the element types of out, a and b.
#pragma once
#include <array>
#include <utility>

#include "base/shape.h"
#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "ops/op.h"

namespace densa::inline DENSA_ISA {

// How element i of a row-major shape lies in each of N operands.
template <int N>
struct Strided {
  int rank = 0;
  std::int64_t shape[kMaxRank] = {};
  std::int64_t step[N][kMaxRank] = {};

  // Drops dimensions of size 1 and merges those that every operand steps through as one.
  static Strided of(const Dims& shape, const std::array<Dims, N>& strides) {
    Strided out;
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == 1) continue;
      bool merge = out.rank > 0;
      for (int k = 0; merge && k < N; ++k)
        merge = out.step[k][out.rank - 1] == strides[k][i] * shape[i];
      if (!merge) out.shape[out.rank++] = 1;
      out.shape[out.rank - 1] *= shape[i];
      for (int k = 0; k < N; ++k) out.step[k][out.rank - 1] = strides[k][i];
    }
    if (out.rank == 0) {
      out.rank = 1;
      out.shape[0] = 1;
    }
    return out;
  }
  // Whether every operand is one run of memory, or one element for all.
  bool flat() const { return rank == 1; }

  DENSA_HD void locate(std::int64_t i, std::int64_t (&at)[N]) const {
    for (int k = 0; k < N; ++k) at[k] = 0;
    for (int d = rank - 1; d > 0; --d) {
      const std::int64_t rest = divide(i, shape[d]), index = i - rest * shape[d];
      for (int k = 0; k < N; ++k) at[k] += index * step[k][d];
      i = rest;
    }
    for (int k = 0; k < N; ++k) at[k] += i * step[k][0];
  }

 private:
  // A GPU divides 64 bits in about a hundred instructions, 32 bits in about twenty.
  DENSA_HD static std::int64_t divide(std::int64_t a, std::int64_t b) {
    if (((a | b) >> 32) == 0) return static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b);
    return a / b;
  }
};

template <class F, std::size_t... I, class... T>
__device__ auto apply_at(const F& f, const std::int64_t (&at)[sizeof...(T)],
                         std::index_sequence<I...>, Global<const T>... x) {
  return f(x[at[I]]...);
}

// y = f(x...), element by element; y is contiguous.
template <class F, class R, class... T>
__global__ void map_elements(std::int64_t n, Strided<sizeof...(T)> walk, F f, Global<R> y,
                             Global<const T>... x) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    std::int64_t at[sizeof...(T)];
    walk.locate(i, at);
    y[i] = apply_at(f, at, std::index_sequence_for<T...>{}, x...);
  }
}

// The strides with which `view` is read as an array of `shape`: 0 along stretched dimensions.
inline Dims stretched(const View& view, const Dims& shape) {
  Dims strides = shape;
  const int shift = shape.rank() - view.shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    const bool fixed = i < shift || (view.shape[i - shift] == 1 && shape[i] != 1);
    strides[i] = fixed ? 0 : view.strides[i - shift];
  }
  return strides;
}

// Launches f over `out` and inputs that broadcast to it.
template <class R, class... T, class F, class... V>
void launch_map(cuda::Stream stream, const F& f, const View& out, const V&... in) {
  static_assert(sizeof...(T) == sizeof...(V));
  std::int64_t n = 1;
  for (std::int64_t d : out.shape) n *= d;
  const auto walk = Strided<sizeof...(T)>::of(out.shape, {stretched(in, out.shape)...});
  cuda::launch(stream, cuda::grid_for(n), map_elements<F, R, T...>, n, walk, f, out.as<R>(),
               in.template as<const T>()...);
}

}  // namespace densa::inline DENSA_ISA
