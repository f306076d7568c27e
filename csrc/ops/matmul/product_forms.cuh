// The forms in which a GPU multiplies matrices, behind one table, and what they share.
// Only .cu files include it.
#pragma once
#include <algorithm>

#include "cuda/numbers.h"
#include "cuda/tiles.h"
#include "ops/matmul/product_cuda.h"

namespace densa::inline DENSA_ISA {

// The last step of a result: an activation. In the kernels of products only what is usual, and in
// float64 only relu, so that they stay small; the rest is a launch of its own.
template <class T>
struct Finish {
  Formula formula = Formula::kNone;
  double parameter = 0;

  static bool takes(Formula formula) {
    return sizeof(T) == 4 ? is_usual(formula)
                          : formula == Formula::kNone || formula == Formula::k_relu;
  }
  __device__ T operator()(T z) const {
    if (formula == Formula::kNone) return z;
    if (sizeof(T) == 8 || formula == Formula::k_relu) return Relu{}.value(z);
    return usual_formula(formula, parameter, z);
  }
};

// What a kernel is given: one product cut into tiles of y, and k into `splits` parts of `chunk`.
template <class T, class OneOperand = TileOperand<T>, class Result = Global<T>>
struct TiledProduct {
  using Number = T;
  using Operand = OneOperand;
  Operand a, w;
  Strided<2> batch;  // where the matrices of a and w start
  std::int64_t m, n, k, count;
  std::int64_t splits, chunk;
  Global<const T> bias;
  Result y;  // the result, or the parts [splits][count][m][n]
  bool y_by_four;
  Finish<T> finish;

  // What index z over parts and matrices says.
  struct Part {
    std::int64_t number, first_k, depth;
    std::int64_t at[2];  // where the matrices of a and w start
  };
  __device__ Part part(std::int64_t z) const {
    Part out;
    out.number = z / count;
    out.first_k = out.number * chunk;
    const std::int64_t left = k - out.first_k;
    out.depth = left < chunk ? left : chunk;
    batch.locate(z - out.number * count, out.at);
    return out;
  }
};

// Finishes and writes four neighbours from y[at] on, of which `count` exist.
template <class P>
__device__ void finish_four(const P& p, const Four<typename P::Number>& sums, std::int64_t at,
                            std::int64_t count) {
  Four<typename P::Number> y;
  for (int j = 0; j < 4; ++j) y.x[j] = p.finish(sums.x[j]);
  if (p.y_by_four && count > 0) {
    put_four(p.y, at, y);
  } else {
    for (int j = 0; j < 4; ++j)
      if (j < count) put(p.y, at + j, y.x[j]);
  }
}

// How the results of a product are cut into tiles, and its sums into parts.
struct TileCut {
  int shape = 0;  // of the form's tiles
  std::int64_t splits = 1, chunk = 0;
};

struct ProductForm {
  const char* name;
  bool (*takes)(DType dtype, const ProductSizes& sizes);  // else it is exact
  TileCut (*cut)(DType dtype, const ProductSizes& sizes);
  void (*launch)(const ProductCall& call, const TileCut& cut);
  // Bytes that it needs in call.scratch behind the parts; as the sizes say.
  std::size_t (*room)(const ProductCall& call) = nullptr;
};

extern const ProductForm kExactProduct;
extern const ProductForm kRowsProduct;  // few rows: instead of the exact one where it takes them
extern const ProductForm kTf32x3Product, kTf32Product;
// Those that know formats and precisions of 16 bits.
extern const ProductForm kMixedProduct, kMmaProduct, kWgmmaProduct;

inline bool has_halves(const ProductCall& call) {
  constexpr NumberFormat kFull = NumberFormat::kFull;
  return call.a.format != kFull || call.w.format != kFull || call.y_format != kFull;
}
inline bool is_mixed(const ProductCall& call) {
  return call.precision != NumberFormat::kFull || has_halves(call);
}
// Whether the kernel leaves its sums in scratch, for a second launch to finish: parts, or results
// whose activation the kernel lacks and that must not be rounded before it.
inline bool leaves_parts(const ProductCall& call, const TileCut& cut) {
  return cut.splits > 1 ||
         (call.y_format != NumberFormat::kFull && !Finish<float>::takes(call.formula));
}

inline std::size_t parts_bytes(const ProductCall& call, const TileCut& cut) {
  if (!leaves_parts(call, cut)) return 0;
  const ProductSizes& sizes = call.sizes;
  return static_cast<std::size_t>(cut.splits * sizes.batch * sizes.m * sizes.n) *
         item_size(call.dtype);
}
// Where a form's room begins in call.scratch, and where it ends.
inline std::size_t room_start(const ProductCall& call, const TileCut& cut) {
  return (parts_bytes(call, cut) + 127) / 128 * 128;
}
inline std::size_t scratch_bytes(const ProductForm& form, const ProductCall& call,
                                 const TileCut& cut) {
  return form.room == nullptr ? parts_bytes(call, cut) : room_start(call, cut) + form.room(call);
}

inline std::int64_t pieces(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

// A large GPU has about this many multiprocessors.
inline constexpr std::int64_t kEnoughBlocks = 128;

// Parts of at least `shortest` of k, each a multiple of `depth`, so that there are enough blocks.
inline TileCut split_evenly(int shape, std::int64_t blocks, std::int64_t k, std::int64_t shortest,
                            std::int64_t depth) {
  constexpr std::int64_t kMostSplits = 64;
  TileCut cut{shape, 1, k};
  if (blocks == 0 || blocks >= kEnoughBlocks || k < 2 * shortest) return cut;
  const std::int64_t wanted =
      std::min({pieces(2 * kEnoughBlocks, blocks), k / shortest, kMostSplits});
  cut.chunk = pieces(pieces(k, wanted), depth) * depth;
  cut.splits = pieces(k, cut.chunk);
  return cut;
}

// True if the matrices of a batch are as well aligned as the first one.
inline bool steps_by(std::ptrdiff_t unit, const Dims& batch_strides) {
  return std::all_of(batch_strides.begin(), batch_strides.end(),
                     [unit](auto s) { return s % unit == 0; });
}

// All of a kernel's product but its operands and y.
template <class P>
void set_sizes(P& p, const ProductCall& call, const TileCut& cut) {
  using T = typename P::Number;
  p.batch = Strided<2>::of(call.batch, {call.a.batch_strides, call.w.batch_strides});
  p.m = call.m;
  p.n = call.n;
  p.k = call.k;
  p.count = element_count(call.batch);
  p.splits = cut.splits;
  p.chunk = cut.chunk;
  p.bias = Global<const T>(static_cast<const T*>(call.bias));
  if (!leaves_parts(call, cut) && Finish<T>::takes(call.formula))
    p.finish = {call.formula, call.parameter};
}

// The call as a kernel takes it. Parts are in call.scratch.
template <class T>
TiledProduct<T> tiled(const ProductCall& call, const TileCut& cut) {
  TiledProduct<T> p{};
  set_sizes(p, call, cut);
  p.a = TileOperand<T>::of(static_cast<const T*>(call.a.data), call.m, call.a.row_stride,
                           call.a.col_stride, steps_by(4, call.a.batch_strides));
  p.w = TileOperand<T>::of(static_cast<const T*>(call.w.data), call.n, call.w.col_stride,
                           call.w.row_stride, steps_by(4, call.w.batch_strides));
  void* const y = cut.splits > 1 ? call.scratch : call.y;
  p.y = Global<T>(static_cast<T*>(y));
  p.y_by_four = call.n % 4 == 0 && reinterpret_cast<std::uintptr_t>(y) % 16 == 0;
  return p;
}

// Blocks for tiles of rows x cols: x counts tiles, y the matrices and parts, more in each block
// where there are very many.
template <class P>
cuda::Grid tile_grid(const P& p, std::int64_t rows, std::int64_t cols, int threads) {
  constexpr std::int64_t kMostY = 65535;
  return {{static_cast<unsigned>(pieces(p.m, rows) * pieces(p.n, cols)),
           static_cast<unsigned>(std::min(p.count * p.splits, kMostY))},
          {static_cast<unsigned>(threads)}};
}

}  // namespace densa::inline DENSA_ISA
