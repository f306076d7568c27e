// The words of cuda/warpgroup.h for an ordinary compiler; warpgroup.cpp does what depends on no
// template.
#pragma once
#include <cstdint>
#include <limits>

#include "cuda/emulation/grid.h"
#include "cuda/kernel.h"
#include "cuda/tensor_map.h"

// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): CUDA's own word
#define __grid_constant__

namespace densa::emulation {

// One barrier of the block that runs.
struct AsyncBarrier;
void init_barrier(AsyncBarrier*& barrier, int arrivals);
void publish_barriers();
void arrive_at(AsyncBarrier* barrier, std::uint32_t bytes);
void wait_for(AsyncBarrier* barrier, std::uint32_t parity);
void copy_box(const cuda::MatrixStack& from, int near, int far, int z, std::uint32_t to,
              AsyncBarrier* barrier);

struct GroupProduct {
  bool bfloat16, a_transposed, w_transposed;
  int n;
  std::uint64_t at_a, at_w;
};
std::uint32_t first_tile_address();
void begin_products();
void multiply(const GroupProduct& product, float* sum);
void end_group_of_products();
void wait_for_products(int groups_left);

}  // namespace densa::emulation

namespace densa::inline DENSA_ISA {

inline constexpr bool kHasWarpgroups = true;

inline std::uint32_t tile_memory() { return emulation::first_tile_address(); }

template <int kN>
class Barriers {
 public:
  void init(int i, int arrivals) { emulation::init_barrier(at(i), arrivals); }
  void arrive(int i) { emulation::arrive_at(at(i), 0); }
  void expect(int i, std::uint32_t bytes) { emulation::arrive_at(at(i), bytes); }
  void wait(int i, std::uint32_t parity) { emulation::wait_for(at(i), parity); }
  emulation::AsyncBarrier*& at(int i) {
    if (i < 0 || i >= kN) emulation::fault("barrier " + std::to_string(i) + " lies outside");
    return barriers_[i];
  }

 private:
  emulation::AsyncBarrier* barriers_[kN];
};

inline void barriers_ready() { emulation::publish_barriers(); }

template <int kN>
void copy_box(const cuda::TensorMap& map, int near, int far, int z, std::uint32_t to,
              Barriers<kN>& barriers, int i) {
  emulation::copy_box(map.stack, near, far, z, to, barriers.at(i));
}

inline void warpgroup_begin() { emulation::begin_products(); }
template <bool kBFloat16, int kN, bool kATransposed, bool kWTransposed>
void warpgroup_multiply(float (&sum)[kN / 8][4], std::uint64_t at_a, std::uint64_t at_w) {
  static_assert(kN == 128 || kN == 256);
  emulation::multiply({kBFloat16, kATransposed, kWTransposed, kN, at_a, at_w}, &sum[0][0]);
}
inline void warpgroup_end_group() { emulation::end_group_of_products(); }
template <int kLeft, int kTiles>
void warpgroup_wait(float (&)[kTiles][4]) {
  emulation::wait_for_products(kLeft);
}

}  // namespace densa::inline DENSA_ISA
