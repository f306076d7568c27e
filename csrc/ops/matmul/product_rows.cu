// Products of at most 4 rows with long sums: memory decides, so w is read once, by as many blocks
// as its columns give.
//
// A block has 8 columns, 32 bytes of a row of w; its 8 warps take 4 k each at a time, so thread s
// of a column adds k = s, s + 32, s + 64 and so on. The 32 sums join in a fixed order: those of a
// warp as a tree, then warp by warp, bias first. Sizes alone decide who adds what. In float32 each
// of a, w and y may lie in 16 bits.
#include "ops/matmul/product_forms.cuh"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kMostRows = 4, kColumns = 8, kBlock = 256, kWarps = kBlock / kWarp;
constexpr int kSlots = kBlock / kColumns;  // threads of a column
constexpr int kAhead = 8;                  // loads of a thread that are under way at once
constexpr std::int64_t kLongSum = 128;     // shorter ones stay one chain, in the exact form

template <class T>
struct RowsProduct {
  typename FloatMemory<T>::In a, w;
  Global<const T> bias;
  typename FloatMemory<T>::Out y;
  std::int64_t m, n, k, count;
  std::ptrdiff_t a_row, a_col, w_row, w_col;
  Strided<2> batch;
  Finish<T> finish;
};

template <class T>
__global__ void __launch_bounds__(kBlock) multiply_rows(RowsProduct<T> p) {
  __shared__ Shared<T, kWarps * kMostRows * kColumns> room;
  const int t = static_cast<int>(threadIdx.x), warp = t / kWarp;
  const int m = static_cast<int>(p.m);
  const std::int64_t first = std::int64_t{blockIdx.x} * kColumns, col = first + t % kColumns;
  const std::int64_t slot = t / kColumns;
  for (std::int64_t z = blockIdx.y; z < p.count; z += gridDim.y) {
    std::int64_t at[2];
    p.batch.locate(z, at);
    T sum[kMostRows] = {};
    const auto add = [&](std::int64_t k, T w) {
      DENSA_UNROLL
      for (int r = 0; r < kMostRows; ++r)
        if (r < m) sum[r] = mul_add(T{p.a[at[0] + r * p.a_row + k * p.a_col]}, w, sum[r]);
    };
    if (col < p.n) {
      const std::ptrdiff_t from = at[1] + col * p.w_col;
      std::int64_t k = slot;
      for (; k + (kAhead - 1) * kSlots < p.k; k += kAhead * kSlots) {
        T w[kAhead];
        DENSA_UNROLL
        for (int i = 0; i < kAhead; ++i) w[i] = p.w[from + (k + i * kSlots) * p.w_row];
        DENSA_UNROLL
        for (int i = 0; i < kAhead; ++i) add(k + i * kSlots, w[i]);
      }
      DENSA_ROLLED
      for (; k < p.k; k += kSlots) add(k, p.w[from + k * p.w_row]);
    }
    DENSA_UNROLL
    for (int r = 0; r < kMostRows; ++r) {
      for (int mask = kColumns; mask < kWarp; mask *= 2) sum[r] += shuffle_xor(sum[r], mask);
      if (t % kWarp < kColumns) room.set((warp * kMostRows + r) * kColumns + t % kColumns, sum[r]);
    }
    __syncthreads();
    const int row = t / kColumns;
    if (row < m && col < p.n) {
      T total = p.bias != nullptr ? p.bias[col] : T{};
      for (int one = 0; one < kWarps; ++one)
        total += room[(one * kMostRows + row) * kColumns + t % kColumns];
      put(p.y, (z * p.m + row) * p.n + col, p.finish(total));
    }
    __syncthreads();
  }
}

template <class T>
void launch_as(const ProductCall& call) {
  RowsProduct<T> p{};
  const bool parts = leaves_parts(call, {0, 1, call.k});
  if constexpr (sizeof(T) == 4) {
    p.a = Numbers<const T>::of(call.a.data, call.a.format);
    p.w = Numbers<const T>::of(call.w.data, call.w.format);
    p.y = parts ? Numbers<T>::of(call.scratch, NumberFormat::kFull)
                : Numbers<T>::of(call.y, call.y_format);
  } else {
    p.a = Global<const T>(static_cast<const T*>(call.a.data));
    p.w = Global<const T>(static_cast<const T*>(call.w.data));
    p.y = Global<T>(static_cast<T*>(call.y));
  }
  p.bias = Global<const T>(static_cast<const T*>(call.bias));
  p.m = call.m;
  p.n = call.n;
  p.k = call.k;
  p.count = element_count(call.batch);
  p.a_row = call.a.row_stride;
  p.a_col = call.a.col_stride;
  p.w_row = call.w.row_stride;
  p.w_col = call.w.col_stride;
  p.batch = Strided<2>::of(call.batch, {call.a.batch_strides, call.w.batch_strides});
  if (!parts && Finish<T>::takes(call.formula)) p.finish = {call.formula, call.parameter};
  cuda::launch(
      call.stream,
      {{static_cast<unsigned>(pieces(call.n, kColumns)), static_cast<unsigned>(p.count)}, {kBlock}},
      multiply_rows<T>, p);
}

bool takes(DType, const ProductSizes& sizes) {
  return sizes.m >= 1 && sizes.m <= kMostRows && sizes.batch == 1 && sizes.k >= kLongSum;
}

}  // namespace

const ProductForm kRowsProduct = {
    "rows", takes,
    [](DType, const ProductSizes& sizes) {
      return TileCut{0, 1, sizes.k};
    },
    [](const ProductCall& call, const TileCut&) {
      (call.dtype == DType::kFloat32 ? launch_as<float> : launch_as<double>)(call);
    }};

}  // namespace densa::inline DENSA_ISA
