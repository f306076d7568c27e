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
template <class T, int kOuter, int kDepth, int kThreads>
class TileShare {
 public:
  // Shared rows are padded: threads that store a column of four hit different banks.
  static constexpr int kStride = kOuter + 4, kSize = kDepth * kStride;

  __device__ TileShare(const TileOperand<T>& operand, std::ptrdiff_t base, std::int64_t first_outer,
                       std::int64_t first_k)
      : operand_(operand) {
    for (int q = 0; q < kFours; ++q) {
      const std::int64_t outer = first_outer + outer_of(q);
      at_[q] = base + outer * operand.outer_step + (first_k + k_of(q)) * operand.k_step;
      const std::int64_t left = operand.outer - outer;
      left_[q] = left < 0 ? 0 : left > 4 ? 4 : static_cast<int>(left);
    }
  }

  // Loads the next tile, of which `depth` k exist.
  __device__ void fetch(std::int64_t depth) {
    const std::ptrdiff_t step = operand_.along_k ? operand_.k_step : operand_.outer_step;
    for (int q = 0; q < kFours; ++q) {
      const std::int64_t below = depth - k_of(q);
      const int k_left = below < 0 ? 0 : below > 4 ? 4 : static_cast<int>(below);
      const int count =
          operand_.along_k ? (left_[q] > 0 ? k_left : 0) : (k_left > 0 ? left_[q] : 0);
      if (operand_.by_four && count == 4) {
        loaded_[q] = load_four(operand_.data, at_[q]);
      } else {
        for (int j = 0; j < 4; ++j)
          loaded_[q].x[j] = j < count ? operand_.data[at_[q] + j * step] : T{};
      }
      at_[q] += kDepth * operand_.k_step;
    }
  }

  template <int kRoom>
  __device__ void store(Shared<T, kRoom>& tile, int base) const {
    for (int q = 0; q < kFours; ++q) {
      const int to = base + k_of(q) * kStride + outer_of(q);
      if (operand_.along_k) {
        for (int j = 0; j < 4; ++j) tile.set(to + j * kStride, loaded_[q].x[j]);
      } else {
        tile.set_four(to, loaded_[q]);
      }
    }
  }

 private:
  static_assert(kOuter * kDepth % (4 * kThreads) == 0 && kDepth % 8 == 0 && kOuter % 16 == 0);
  static constexpr int kFours = kOuter * kDepth / (4 * kThreads);

  // Along k two threads take the 8 elements of one row, the next two those of the next row: whole
  // 32-byte sectors, and stores without bank conflicts. Otherwise threads run along outer.
  __device__ int outer_of(int q) const {
    const int e = static_cast<int>(threadIdx.x) + q * kThreads;
    return operand_.along_k ? e / 2 % kOuter : e % (kOuter / 4) * 4;
  }
  __device__ int k_of(int q) const {
    const int e = static_cast<int>(threadIdx.x) + q * kThreads;
    return operand_.along_k ? e % 2 * 4 + e / (2 * kOuter) * 8 : e / (kOuter / 4);
  }

  const TileOperand<T>& operand_;
  std::ptrdiff_t at_[kFours];
  int left_[kFours];
  Four<T> loaded_[kFours];
};

}  // namespace densa::inline DENSA_ISA
