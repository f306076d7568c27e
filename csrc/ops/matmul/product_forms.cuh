// The forms in which a GPU multiplies matrices, behind one table, and what they share.
// Only .cu files include it.
#pragma once
#include <algorithm>

#include "cuda/strided.h"
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
template <class T>
struct TiledProduct {
  TileOperand<T> a, w;
  Strided<2> batch;  // where the matrices of a and w start
  std::int64_t m, n, k, count;
  std::int64_t splits, chunk;
  Global<const T> bias;
  Global<T> y;  // the result, or the parts [splits][count][m][n]
  bool y_by_four;
  Finish<T> finish;
};

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
};

extern const ProductForm kExactProduct;
extern const ProductForm kRowsProduct;  // few rows: instead of the exact one where it takes them
extern const ProductForm kTf32x3Product, kTf32Product;

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

// The call as a kernel takes it. Parts are in call.scratch.
template <class T>
TiledProduct<T> tiled(const ProductCall& call, const TileCut& cut) {
  const Dims &a_batch = call.a.batch_strides, &w_batch = call.w.batch_strides;
  const auto aligned = [](const Dims& strides) {
    return std::all_of(strides.begin(), strides.end(), [](auto s) { return s % 4 == 0; });
  };
  TiledProduct<T> p{};
  p.a = TileOperand<T>::of(static_cast<const T*>(call.a.data), call.m, call.a.row_stride,
                           call.a.col_stride, aligned(a_batch));
  p.w = TileOperand<T>::of(static_cast<const T*>(call.w.data), call.n, call.w.col_stride,
                           call.w.row_stride, aligned(w_batch));
  p.batch = Strided<2>::of(call.batch, {a_batch, w_batch});
  p.m = call.m;
  p.n = call.n;
  p.k = call.k;
  p.count = element_count(call.batch);
  p.splits = cut.splits;
  p.chunk = cut.chunk;
  p.bias = Global<const T>(static_cast<const T*>(call.bias));
  p.y = Global<T>(static_cast<T*>(cut.splits > 1 ? call.scratch : call.y));
  p.y_by_four = call.n % 4 == 0 &&
                reinterpret_cast<std::uintptr_t>(cut.splits > 1 ? call.scratch : call.y) % 16 == 0;
  if (cut.splits == 1 && Finish<T>::takes(call.formula)) p.finish = {call.formula, call.parameter};
  return p;
}

// Blocks for tiles of rows x cols: x counts tiles, y the matrices and parts, more in each block
// where there are very many.
template <class T>
cuda::Grid tile_grid(const TiledProduct<T>& p, std::int64_t rows, std::int64_t cols, int threads) {
  constexpr std::int64_t kMostY = 65535;
  return {{static_cast<unsigned>(pieces(p.m, rows) * pieces(p.n, cols)),
           static_cast<unsigned>(std::min(p.count * p.splits, kMostY))},
          {static_cast<unsigned>(threads)}};
}

}  // namespace densa::inline DENSA_ISA
