// Moving elements on a GPU. Every op is dst[index . steps] = src[index . steps] over some shape;
// how that is done follows from the strides:
//
//   both sides contiguous along the last axis   words of up to 16 bytes
//   contiguous along different axes             tiles of 32 x 32 through shared memory, so that
//   both
//                                               sides are read and written in whole lines
//   anything else                               one element per thread
#include <utility>

#include "cuda/strided.h"
#include "cuda/words.h"
#include "ops/backend.h"
#include "ops/shape/cut.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kDst = 0, kSrc = 1;

template <class Word>
__global__ void move_elements(std::int64_t n, Strided<2> walk, Global<Word> dst,
                              Global<const Word> src) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    std::int64_t at[2];
    walk.locate(i, at);
    dst[at[kDst]] = src[at[kSrc]];
  }
}

// ---- tiles --------------------------------------------------------------------------------------

constexpr int kTile = 32;
constexpr int kTileRows = static_cast<int>(cuda::kThreads) / kTile;  // that a block moves at once

// Matrices of rows x cols: src runs along the rows, dst along the columns.
struct Transposed {
  Strided<2> matrices;
  std::int64_t count, rows, cols;
  std::int64_t dst_step;  // from row to row
  std::int64_t src_step;  // from column to column
};

template <class Word>
__global__ void move_tiles(Transposed t, Global<Word> dst, Global<const Word> src) {
  __shared__ Shared<Word, kTile*(kTile + 1)> tile;  // a column apart, a bank apart
  const std::int64_t down = (t.rows + kTile - 1) / kTile, across = (t.cols + kTile - 1) / kTile;
  const int lane = static_cast<int>(threadIdx.x) % kTile;
  const int first = static_cast<int>(threadIdx.x) / kTile;
  for (std::int64_t i = blockIdx.x; i < t.count * down * across; i += gridDim.x) {
    const std::int64_t row = i / across % down * kTile, col = i % across * kTile;
    std::int64_t at[2];
    t.matrices.locate(i / across / down, at);
    for (int k = first; k < kTile; k += kTileRows)
      if (row + lane < t.rows && col + k < t.cols)
        tile.set(k * (kTile + 1) + lane, src[at[kSrc] + row + lane + (col + k) * t.src_step]);
    __syncthreads();
    for (int k = first; k < kTile; k += kTileRows)
      if (row + k < t.rows && col + lane < t.cols)
        dst[at[kDst] + (row + k) * t.dst_step + col + lane] = tile[lane * (kTile + 1) + k];
    __syncthreads();
  }
}

// Below this many elements along one side, tiles are mostly empty.
constexpr std::int64_t kNarrow = 16;

// Whether `walk` is worth tiles, and which.
bool transposed(const Strided<2>& walk, Transposed* t) {
  const int last = walk.rank - 1;
  if (walk.step[kDst][last] != 1 || walk.step[kSrc][last] == 1 || walk.shape[last] < kNarrow)
    return false;
  for (int d = 0; d < last; ++d) {
    if (walk.step[kSrc][d] != 1 || walk.shape[d] < kNarrow) continue;
    t->rows = walk.shape[d];
    t->cols = walk.shape[last];
    t->dst_step = walk.step[kDst][d];
    t->src_step = walk.step[kSrc][last];
    Strided<2>& rest = t->matrices;
    rest.rank = 1;
    rest.shape[0] = t->count = 1;
    for (int k = 0; k < last; ++k) {
      if (k == d) continue;
      const int to = t->count == 1 ? 0 : rest.rank++;
      rest.shape[to] = walk.shape[k];
      for (int side : {kDst, kSrc}) rest.step[side][to] = walk.step[side][k];
      t->count *= walk.shape[k];
    }
    return true;
  }
  return false;
}

// ---- the choice ---------------------------------------------------------------------------------

// Turns elements of `item` bytes into the widest words that both sides allow; returns their bytes.
std::int64_t widen(Strided<2>& walk, std::int64_t item, const void* dst, const void* src) {
  const int last = walk.rank - 1;
  if (walk.step[kDst][last] != 1 || walk.step[kSrc][last] != 1) return item;
  std::int64_t bytes = widest_word({bits_of(dst), bits_of(src), walk.shape[last] * item});
  for (int d = 0; d < last; ++d)
    bytes = widest_word({bytes, walk.step[kDst][d] * item, walk.step[kSrc][d] * item});
  const std::int64_t by = bytes / item;
  walk.shape[last] /= by;
  for (int d = 0; d < last; ++d)
    for (int side : {kDst, kSrc}) walk.step[side][d] /= by;
  return bytes;
}

// dst[index . dst_strides] = src[index . src_strides] for every index of `shape`.
void move(cuda::Stream stream, DType dtype, const Dims& shape, void* dst, const Dims& dst_strides,
          const void* src, const Dims& src_strides) {
  if (element_count(shape) == 0) return;
  auto walk = Strided<2>::of(shape, {dst_strides, src_strides});
  const std::int64_t bytes = widen(walk, static_cast<std::int64_t>(item_size(dtype)), dst, src);
  std::int64_t n = 1;
  for (int d = 0; d < walk.rank; ++d) n *= walk.shape[d];
  visit_word_of(bytes, [&](auto zero) {
    using Word = decltype(zero);
    auto* const to = static_cast<Word*>(dst);
    const auto* const from = static_cast<const Word*>(src);
    Transposed tiles;
    if constexpr (sizeof(Word) <= 8) {
      if (transposed(walk, &tiles)) {
        const std::int64_t blocks =
            tiles.count * ((tiles.rows + kTile - 1) / kTile) * ((tiles.cols + kTile - 1) / kTile);
        cuda::launch(stream, cuda::grid_for(blocks * cuda::kThreads), move_tiles<Word>, tiles, to,
                     from);
        return;
      }
    }
    cuda::launch(stream, cuda::grid_for(n), move_elements<Word>, n, walk, to, from);
  });
}

void move_to(const DeviceCall& call, const void* src, const Dims& src_strides) {
  const View& y = call.out[0];
  move(call.stream, y.dtype, y.shape, y.data, contiguous_strides(y.shape), src, src_strides);
}

// ---- ops ----------------------------------------------------------------------------------------

void transpose(const DeviceCall& call) {
  const View& x = call.in[0];
  Dims strides = x.strides;
  const Dims perm = shape::permutation(call.attrs, x.shape.rank());
  for (int i = 0; i < perm.rank(); ++i) strides[i] = x.strides[static_cast<int>(perm[i])];
  move_to(call, x.data, strides);
}

void broadcast_to(const DeviceCall& call) {
  move_to(call, call.in[0].data, stretched(call.in[0], call.out[0].shape));
}

template <class T>
__global__ void write_number(T number, Global<T> y) {
  y[0] = number;
}

void row_count(const DeviceCall& call) {
  const std::int64_t rows = call.in[0].shape[0];
  visit_dtype(call.out[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    cuda::launch(call.stream, {{1}, {1}}, write_number<T>, static_cast<T>(rows),
                 call.out[0].as<T>());
  });
}

void concatenate(const DeviceCall& call) {
  const View& y = call.out[0];
  const Dims strides = contiguous_strides(y.shape);
  const int axis = normalize_axis(call.attrs.get_int("axis", -1), y.shape.rank(), "concatenate");
  auto* dst = y.as<std::byte>();
  for (const View& x : call.in) {
    move(call.stream, x.dtype, x.shape, dst, strides, x.data, x.strides);
    dst += x.shape[axis] * strides[axis] * static_cast<std::int64_t>(item_size(x.dtype));
  }
}

void slice(const DeviceCall& call) {
  const View& x = call.in[0];
  if (element_count(call.out[0].shape) == 0) return;
  Dims strides;
  const std::int64_t offset = shape::sliced(x, call.attrs, strides);
  move_to(call, x.as<const std::byte>() + offset * static_cast<std::int64_t>(item_size(x.dtype)),
          strides);
}

void pad_slice(const DeviceCall& call) {
  const View &dy = call.in[0], &y = call.out[0];
  const auto item = static_cast<std::int64_t>(item_size(y.dtype));
  const std::int64_t bytes = element_count(y.shape) * item;
  if (bytes > 0) cuda::fill_zero(call.stream, y.data, static_cast<std::size_t>(bytes));
  if (element_count(dy.shape) == 0) return;
  Dims strides = contiguous_strides(y.shape);
  const shape::Cut cut = shape::cut_of(call.attrs, dy.shape.rank(), "pad_slice", false);
  const std::int64_t offset = shape::part(cut, y.shape, strides);
  move(call.stream, y.dtype, dy.shape, y.as<std::byte>() + offset * item, strides, dy.data,
       dy.strides);
}

constexpr DeviceOp strided(const char* name, void (*eval)(const DeviceCall&)) {
  return {.name = name, .eval = eval, .any_strides = true};
}

constexpr DeviceOp kOps[] = {
    strided("transpose", &transpose), strided("broadcast_to", &broadcast_to),
    strided("row_count", &row_count), strided("concatenate", &concatenate),
    strided("slice", &slice),         strided("pad_slice", &pad_slice),
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> shape() { return kOps; }

}  // namespace densa::cuda_ops
