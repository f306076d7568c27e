// Tiles of strided matrices, from global memory through registers into shared memory.
//
// An operand of a product is seen as [outer][k]: outer counts rows of the left matrix, columns of
// the right one; k is what the sum runs over. Its tile lies in shared memory as [k][outer],
// whichever way the matrix lies, so that the multiplication reads four outer neighbours at once.
#pragma once
#include "cuda/kernel.h"

namespace densa::inline DENSA_ISA {

template <class T>
struct TileOperand {
  Global<const T> data;
  std::int64_t outer = 0;
  std::ptrdiff_t outer_step = 0, k_step = 0;
  bool along_k = false;  // four elements that a thread loads are neighbours in k, else in outer
  bool by_four = false;  // they lie side by side at multiples of 16 bytes

  __device__ T load(std::ptrdiff_t at) const { return data[at]; }
  __device__ Four<T> load_by_four(std::ptrdiff_t at) const { return load_four(data, at); }

  static TileOperand of(const T* data, std::int64_t outer, std::ptrdiff_t outer_step,
                        std::ptrdiff_t k_step, bool matrices_aligned) {
    TileOperand out{Global<const T>(data), outer, outer_step, k_step};
    out.along_k = k_step == 1 && outer_step != 1;
    const std::ptrdiff_t near = out.along_k ? k_step : outer_step;
    const std::ptrdiff_t far = out.along_k ? outer_step : k_step;
    out.by_four = matrices_aligned && near == 1 && far % 4 == 0 &&
                  reinterpret_cast<std::uintptr_t>(data) % alignof(Four<T>) == 0;
    return out;
  }
};

// A thread's share of one tile. Elements past the matrix are zeros.
template <class T, int kOuter, int kDepth, int kThreads, class Operand = TileOperand<T>>
class TileShare {
 public:
  // Shared rows are padded: threads that store a column of four hit different banks.
  static constexpr int kStride = kOuter + 4, kSize = kDepth * kStride;

  __device__ TileShare(const Operand& operand, std::ptrdiff_t base, std::int64_t first_outer,
                       std::int64_t first_k)
      : operand_(operand) {
    const int t = static_cast<int>(threadIdx.x);
    // Along k two threads take the 8 elements of one row, the next two those of the next row: whole
    // 32-byte sectors, and stores without bank conflicts. Otherwise threads run along outer.
    outer_ = operand.along_k ? t / 2 % kOuter : t % kWide * 4;
    k_ = operand.along_k ? t % 2 * 4 + t / 2 / kOuter * 8 : t / kWide;
    at_ = base + (first_outer + outer_) * operand.outer_step + (first_k + k_) * operand.k_step;
    const std::int64_t left = operand.outer - first_outer - outer_;
    left_ = left > kOuter ? kOuter : static_cast<int>(left);
  }

  // Loads the next tile, of which `depth` k exist.
  __device__ void fetch(std::int64_t depth) {
    const std::ptrdiff_t step = operand_.along_k ? operand_.k_step : operand_.outer_step;
    const int k_left = (depth > kDepth ? kDepth : static_cast<int>(depth)) - k_;
    for (int q = 0; q < kFours; ++q) {
      const std::ptrdiff_t at =
          at_ + outer_shift(q) * operand_.outer_step + k_shift(q) * operand_.k_step;
      const int outers = left_ - outer_shift(q), ks = k_left - k_shift(q);
      const int count = operand_.along_k ? (outers > 0 ? ks : 0) : (ks > 0 ? outers : 0);
      if (operand_.by_four && count >= 4) {
        loaded_[q] = operand_.load_by_four(at);
      } else {
        for (int j = 0; j < 4; ++j)
          loaded_[q].x[j] = j < count ? operand_.load(at + j * step) : T{};
      }
    }
    at_ += kDepth * operand_.k_step;
  }

  template <int kRoom>
  __device__ void store(Shared<T, kRoom>& tile, int base) const {
    for (int q = 0; q < kFours; ++q) {
      const int to = base + (k_ + k_shift(q)) * kStride + outer_ + outer_shift(q);
      if (operand_.along_k) {
        for (int j = 0; j < 4; ++j) tile.set(to + j * kStride, loaded_[q].x[j]);
      } else {
        tile.set_four(to, loaded_[q]);
      }
    }
  }

 private:
  static constexpr int kFours = kOuter * kDepth / (4 * kThreads);
  static constexpr int kWide = kOuter / 4;    // threads that share one k
  static constexpr int kRows = kThreads / 2;  // rows that are read at once along k
  static constexpr int kPasses = kRows < kOuter ? kOuter / kRows : 1;
  static constexpr int kDeepPass = kRows > kOuter ? kRows / kOuter * 8 : 8;
  static_assert(kOuter * kDepth % (4 * kThreads) == 0 && kThreads % kWide == 0 &&
                (kRows % kOuter == 0 || kOuter % kRows == 0));

  // From a thread's first four to its q-th.
  __device__ int outer_shift(int q) const { return operand_.along_k ? q % kPasses * kRows : 0; }
  __device__ int k_shift(int q) const {
    return operand_.along_k ? q / kPasses * kDeepPass : q * (kThreads / kWide);
  }

  const Operand& operand_;
  int outer_, k_;  // where its first four elements lie in the tile
  int left_;       // how many outers exist from there
  std::ptrdiff_t at_;
  Four<T> loaded_[kFours];
};

}  // namespace densa::inline DENSA_ISA
