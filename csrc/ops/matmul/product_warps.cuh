// What the kernels of tensor cores share: how the results of a warp begin and how they leave.
//
// With g = lane / 4 and q = lane % 4, a thread's sum[i][j][c] is the result in row 16 i + g + 8 (c
// / 2) and column 8 j + 2 q + c % 2 of those of its warp, which begin at first_row and first_col.
#pragma once
#include <algorithm>

#include "ops/matmul/product_forms.cuh"

namespace densa::inline DENSA_ISA {

// Sums begin with their bias, in the first part of k.
template <class P, int kDown16, int kAcross8>
__device__ void begin_sums(const P& p, float (&sum)[kDown16][kAcross8][4], std::int64_t first_col,
                           std::int64_t part) {
  const std::int64_t first = first_col + static_cast<int>(threadIdx.x % 4 * 2);
  const std::int64_t rest = p.bias != nullptr && part == 0 ? p.n - first : 0;
  const int left = rest < 8 * kAcross8 ? static_cast<int>(rest) : 8 * kAcross8;
  const auto bias = p.bias + first;
  DENSA_UNROLL
  for (int j = 0; j < kAcross8; ++j)
    for (int c = 0; c < 4; ++c) {
      const int col = 8 * j + c % 2;
      const float start = col < left ? bias[col] : 0;
      for (int i = 0; i < kDown16; ++i) sum[i][j][c] = start;
    }
}

__device__ inline void set_number(float& to, float x) { to = x; }
__device__ inline void set_number(std::uint32_t& to, float x) { to = unsigned_bits(x); }
__device__ inline float number_in(float x) { return x; }
__device__ inline float number_in(std::uint32_t x) { return from_bits<float>(x); }

// What finish_sums needs of shared memory for each warp, in words of 4 bytes.
template <int kAcross8, int kMostCols = 32>
struct ResultRoom {
  static constexpr int kCols = 8 * kAcross8 < kMostCols ? 8 * kAcross8 : kMostCols;
  static constexpr int kRow = kCols + 8;
  static constexpr int kSize = 16 * kRow;
  static_assert(kAcross8 % (kCols / 8) == 0);
};

// Calls finish(sums, at, count) with four neighbours each, of which `count` belong to y[at] on, for
// the results of matrix z. 16 rows of Room::kCols columns at a time pass through x, from `room`
// on; one copy of the code of `finish` serves all of them.
template <class Room, class P, int kDown16, int kAcross8, class Word, int kN, class F>
__device__ void finish_sums(const P& p, const float (&sum)[kDown16][kAcross8][4],
                            Shared<Word, kN>& x, int room, std::int64_t z, std::int64_t first_row,
                            std::int64_t first_col, const F& finish) {
  constexpr int kFours = Room::kCols / 4, kAcross = 8 * kAcross8 / Room::kCols;
  const int lane = static_cast<int>(threadIdx.x % kWarp), g = lane / 4, q = lane % 4;
  DENSA_ROLLED
  for (int turn = 0; turn < kDown16 * kAcross; ++turn) {
    DENSA_UNROLL
    for (int one = 0; one < kDown16 * kAcross; ++one) {  // registers have no index
      if (one != turn) continue;
      DENSA_UNROLL
      for (int j = 0; j < Room::kCols / 8; ++j)
        for (int c = 0; c < 4; ++c) {
          Word word;
          set_number(word, sum[one / kAcross][one % kAcross * (Room::kCols / 8) + j][c]);
          x.set(room + (g + c / 2 * 8) * Room::kRow + 8 * j + 2 * q + c % 2, word);
        }
    }
    __syncwarp();
    DENSA_ROLLED
    for (int e = lane; e < 16 * kFours; e += kWarp) {
      const std::int64_t row = first_row + turn / kAcross * 16 + e / kFours;
      const std::int64_t col = first_col + turn % kAcross * Room::kCols + e % kFours * 4;
      if (row >= p.m || col >= p.n) continue;
      const Four<Word> words = x.four(room + e / kFours * Room::kRow + e % kFours * 4);
      Four<float> sums;
      for (int j = 0; j < 4; ++j) sums.x[j] = number_in(words.x[j]);
      finish(sums, (z * p.m + row) * p.n + col, p.n - col);
    }
    __syncwarp();
  }
}

}  // namespace densa::inline DENSA_ISA
