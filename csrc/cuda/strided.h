// Elementwise kernels over operands of any strides: one thread per element, or per four of them
// where memory lets it.
//
//   launch_map<R, T, U>(stream, f, out, a, b)
//
// computes out[i] = f(a[j], b[k]) with NumPy's broadcasting; f is a functor passed by value, R, T
// and U the element types of out, a and b (or AnyFloat of cuda/numbers.h).
#pragma once
#include <array>
#include <type_traits>
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
  bool narrow = true;  // indices fit 32 bits
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
    out.narrow = element_count(shape) < std::int64_t{1} << 31;
    return out;
  }
  // Whether every operand is one run of memory, or one element for all.
  bool flat() const { return rank == 1; }
  // Whether elements 4j ... 4j + 3 are neighbours in every operand, or one element, for all j, and
  // in operands that start well aligned they are so too; when flat, less the last n % 4.
  bool fours() const {
    bool fine = rank == 1 || shape[rank - 1] % 4 == 0;
    for (int k = 0; k < N; ++k) {
      fine = fine && (inner(k) == 0 || inner(k) == 1);
      for (int d = 0; d + 1 < rank; ++d) fine = fine && (inner(k) == 0 || step[k][d] % 4 == 0);
    }
    return fine;
  }
  DENSA_HD std::int64_t inner(int k) const { return step[k][rank - 1]; }

  DENSA_HD void locate(std::int64_t i, std::int64_t (&at)[N]) const {
    if (narrow) {
      divide(static_cast<std::uint32_t>(i), at);
    } else {
      divide(static_cast<std::uint64_t>(i), at);
    }
  }

 private:
  // A GPU divides 64 bits in about a hundred instructions, 32 bits in about twenty.
  template <class Index>
  DENSA_HD void divide(Index i, std::int64_t (&at)[N]) const {
    for (int k = 0; k < N; ++k) at[k] = 0;
    DENSA_ROLLED
    for (int d = rank - 1; d > 0; --d) {
      const Index size = static_cast<Index>(shape[d]), rest = i / size;
      advance(at, static_cast<std::int64_t>(i - rest * size), d, std::make_index_sequence<N>{});
      i = rest;
    }
    advance(at, static_cast<std::int64_t>(i), 0, std::make_index_sequence<N>{});
  }
  template <std::size_t... K>
  DENSA_HD void advance(std::int64_t (&at)[N], std::int64_t index, int d,
                        std::index_sequence<K...>) const {
    ((at[K] += index * step[K][d]), ...);
  }
};

// How elements of type T are read and written: plain memory. numbers.h has another kind.
template <class T>
struct Memory {
  using Number = T;
  using In = Global<const T>;
  using Out = Global<T>;
  static constexpr std::size_t kBytes = sizeof(T);
  static In in(const View& view) { return In(view.as<const T>()); }
  static Out out(const View& view) { return Out(view.as<T>()); }
  static bool fits_four(const View& view) { return densa::fits_four(view.as<const T>()); }
};
template <class T>
__device__ void put(const Global<T>& y, std::ptrdiff_t i, std::type_identity_t<T> value) {
  y[i] = value;
}
template <class T>
__device__ void put_four(const Global<T>& y, std::ptrdiff_t i,
                         const Four<std::type_identity_t<T>>& value) {
  store_four(y, i, value);
}

template <class F, std::size_t... I, class... X>
__device__ auto apply_at(const F& f, const std::int64_t (&at)[sizeof...(X)],
                         std::index_sequence<I...>, const X&... x) {
  return f(x[at[I]]...);
}

// y = f(x...), element by element; y is contiguous. R and T are what Memory is asked for.
template <class F, class R, class... T>
__global__ void map_elements(std::int64_t n, Strided<sizeof...(T)> walk, F f,
                             typename Memory<R>::Out y, typename Memory<T>::In... x) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    std::int64_t at[sizeof...(T)];
    walk.locate(i, at);
    put(y, i, apply_at(f, at, std::index_sequence_for<T...>{}, x...));
  }
}

// Four elements from p[at] on, or p[at] four times.
template <class T>
__device__ Four<typename Memory<T>::Number> four_at(const typename Memory<T>::In& p,
                                                    std::int64_t at, std::int64_t step) {
  if (step != 0) return load_four(p, at);
  const typename Memory<T>::Number x = p[at];
  return {{x, x, x, x}};
}

template <class R, class F, class... T>
__device__ Four<R> apply_four(const F& f, const Four<T>&... x) {
  return {{f(x.x[0]...), f(x.x[1]...), f(x.x[2]...), f(x.x[3]...)}};
}

template <class R, class... T, class F, std::size_t... I>
__device__ Four<R> apply_four_at(const F& f, const Strided<sizeof...(T)>& walk,
                                 const std::int64_t (&at)[sizeof...(T)], std::index_sequence<I...>,
                                 const typename Memory<T>::In&... x) {
  return apply_four<R>(f, four_at<T>(x, at[I], walk.inner(I))...);
}

// The same where walk.fours() and every pointer is aligned.
template <class F, class R, class... T>
__global__ void map_fours(std::int64_t n, Strided<sizeof...(T)> walk, F f,
                          typename Memory<R>::Out y, typename Memory<T>::In... x) {
  using Number = typename Memory<R>::Number;
  constexpr auto kEach = std::index_sequence_for<T...>{};
  std::int64_t at[sizeof...(T)];
  DENSA_ROLLED
  for (std::int64_t j = GridStride::begin(); j < n / 4; j += GridStride::step()) {
    walk.locate(4 * j, at);
    put_four(y, 4 * j, apply_four_at<Number, T...>(f, walk, at, kEach, x...));
  }
  const std::int64_t i = n / 4 * 4 + GridStride::begin();
  if (i < n) {
    walk.locate(i, at);
    put(y, i, apply_at(f, at, kEach, x...));
  }
}

// Where fours are worth a second kernel: among the types one has 4 bytes, and none has more.
template <class... T>
inline constexpr bool kFours = ((Memory<T>::kBytes <= 4) && ...) &&
                               ((Memory<T>::kBytes == 4) || ...);

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
  const std::int64_t n = element_count(out.shape);
  const auto walk = Strided<sizeof...(T)>::of(out.shape, {stretched(in, out.shape)...});
  if constexpr (kFours<R, T...>)
    if (walk.fours() && Memory<R>::fits_four(out) && (Memory<T>::fits_four(in) && ...))
      return cuda::launch(stream, cuda::grid_for((n + 3) / 4), map_fours<F, R, T...>, n, walk, f,
                          Memory<R>::out(out), Memory<T>::in(in)...);
  cuda::launch(stream, cuda::grid_for(n), map_elements<F, R, T...>, n, walk, f, Memory<R>::out(out),
               Memory<T>::in(in)...);
}

}  // namespace densa::inline DENSA_ISA
