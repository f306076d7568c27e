// Threads that share a row: a power of two of the lanes of a warp, or a block of 256 (kWide).
//
//   for (Team<kWide> team(width); team.any(rows); team.next()) {
//     T part = ...;                                 // over columns rank(), rank() + size(), ...
//     T total = team.fold<Add>(part, room);         // in every thread of the team
//   }
//
// Every thread of a block makes the same number of rounds; one whose row() is past the end has no
// columns but takes part in the folds. The order depends on the number of columns alone.
#pragma once
#include <algorithm>
#include <bit>

#include "cuda/kernel.h"
#include "cuda/launch.h"

namespace densa::inline DENSA_ISA {

inline constexpr int kTeamBlock = 256;
inline constexpr std::int64_t kWideFrom = 1025;  // columns that are worth a block

template <class T>
using TeamRoom = Shared<T, kTeamBlock / kWarp>;

// One thread's sum: in blocks of 64, so that the rounding error of a long row stays small.
template <class T>
class LongSum {
 public:
  __device__ void add(T x) {
    block_ += x;
    if (++count_ % 64 == 0) {
      total_ += block_;
      block_ = T{};
    }
  }
  __device__ T value() const { return total_ + block_; }

 private:
  T total_{}, block_{};
  int count_ = 0;
};

template <bool kWide>
class Team {
 public:
  __device__ explicit Team(int width) : width_(width) {
    if constexpr (kWide) {
      row_ = first_ = blockIdx.x;
      step_ = gridDim.x;
    } else {
      const int per_warp = kWarp / width;
      first_ = GridStride::begin() / kWarp * per_warp;
      row_ = first_ + static_cast<int>(threadIdx.x) % kWarp / width;
      step_ = GridStride::step() / kWarp * per_warp;
    }
  }
  __device__ bool any(std::int64_t rows) const { return first_ < rows; }
  __device__ void next() {
    first_ += step_;
    row_ += step_;
  }
  __device__ std::int64_t row() const { return row_; }
  __device__ int size() const { return kWide ? kTeamBlock : width_; }
  __device__ int rank() const {
    return kWide ? static_cast<int>(threadIdx.x) : static_cast<int>(threadIdx.x) % width_;
  }

  template <class Join, class T>
  __device__ T fold(T x, TeamRoom<T>& room) const {
    const int lanes = kWide ? kWarp : width_;
    for (int mask = lanes / 2; mask > 0; mask /= 2) x = Join::of(x, shuffle_xor(x, mask));
    if constexpr (kWide) {
      if (threadIdx.x % kWarp == 0) room.set(static_cast<int>(threadIdx.x) / kWarp, x);
      __syncthreads();
      x = room[0];
      for (int warp = 1; warp < kTeamBlock / kWarp; ++warp) x = Join::of(x, room[warp]);
      __syncthreads();
    }
    return x;
  }

 private:
  int width_;
  std::int64_t first_ = 0, row_ = 0, step_ = 0;
};

// For rows whose columns lie `step` apart: lanes go along the row where that is coalesced.
inline int team_width(std::int64_t cols, std::int64_t step) {
  if (step >= 8) return 1;
  const auto most = static_cast<std::uint64_t>(std::min<std::int64_t>(cols, kWarp));
  return static_cast<int>(std::bit_ceil(std::max<std::uint64_t>(most, 1)));
}

inline cuda::Grid team_grid(std::int64_t rows, int width, bool wide) {
  const std::int64_t in_block = wide ? 1 : kTeamBlock / width;
  const std::int64_t blocks = (rows + in_block - 1) / in_block;
  return {{static_cast<unsigned>(std::min<std::int64_t>(blocks, 1 << 14))}, {kTeamBlock}};
}

}  // namespace densa::inline DENSA_ISA
