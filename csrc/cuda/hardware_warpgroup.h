// The words of cuda/warpgroup.h on a real GPU. Only code for sm_90a itself has them; elsewhere a
// kernel that reaches one stops with an error.
#pragma once
#include <cuda_runtime.h>

#include "cuda/kernel.h"
#include "cuda/tensor_map.h"

namespace densa::inline DENSA_ISA {

// Whether a kernel's body that uses them is worth compiling.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool kHasWarpgroups = true;
#define DENSA_ASM_90A(...) asm volatile(__VA_ARGS__)
#else
inline constexpr bool kHasWarpgroups = false;
#define DENSA_ASM_90A(...) __trap()
#endif

__device__ __forceinline__ std::uint32_t tile_memory() {
  extern __shared__ unsigned char dynamic_shared_memory[];
  const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(dynamic_shared_memory));
  return (at + 1023u) & ~1023u;
}

template <int kN>
struct Barriers {
  std::uint64_t data[kN];

  __device__ __forceinline__ std::uint32_t address(int i) const {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(data + i));
  }
  __device__ __forceinline__ void init(int i, int arrivals) {
    DENSA_ASM_90A("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address(i)), "r"(arrivals)
                  : "memory");
  }
  __device__ __forceinline__ void arrive(int i) {
    DENSA_ASM_90A("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(i)) : "memory");
  }
  __device__ __forceinline__ void expect(int i, std::uint32_t bytes) {
    DENSA_ASM_90A("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address(i)),
                  "r"(bytes)
                  : "memory");
  }
  __device__ __forceinline__ void wait(int i, std::uint32_t parity) const {
    std::uint32_t over = 0;
    while (over == 0)
      DENSA_ASM_90A(
          "{ .reg .pred over;\n"
          "mbarrier.try_wait.parity.shared::cta.b64 over, [%1], %2;\n"
          "selp.u32 %0, 1, 0, over; }"
          : "=r"(over)
          : "r"(address(i)), "r"(parity)
          : "memory");
  }
};

// For other threads and for the copy engine.
__device__ __forceinline__ void barriers_ready() {
  DENSA_ASM_90A("fence.mbarrier_init.release.cluster;" ::: "memory");
  DENSA_ASM_90A("fence.proxy.async.shared::cta;" ::: "memory");
}

template <int kN>
__device__ __forceinline__ void copy_box(const cuda::TensorMap& map, int near, int far, int z,
                                         std::uint32_t to, Barriers<kN>& barriers, int i) {
  DENSA_ASM_90A(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to),
      "l"(reinterpret_cast<std::uint64_t>(&map)), "r"(near), "r"(far), "r"(z),
      "r"(barriers.address(i))
      : "memory");
}

__device__ __forceinline__ void warpgroup_begin() {
  DENSA_ASM_90A("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void warpgroup_end_group() {
  DENSA_ASM_90A("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kLeft, int kTiles>
__device__ __forceinline__ void warpgroup_wait(float (&sum)[kTiles][4]) {
  DENSA_ASM_90A("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
  if constexpr (kLeft == 0) {  // none of them is read before
    DENSA_UNROLL
    for (int j = 0; j < kTiles; ++j)
      asm volatile(""
                   : "+f"(sum[j][0]), "+f"(sum[j][1]), "+f"(sum[j][2]), "+f"(sum[j][3])::"memory");
  }
}

// The registers of sum: %0 to %63 or %127, and their names in the instruction.
// clang-format off
#define DENSA_TEN(tens) \
  "%" tens "0, %" tens "1, %" tens "2, %" tens "3, %" tens "4, " \
  "%" tens "5, %" tens "6, %" tens "7, %" tens "8, %" tens "9, "
#define DENSA_SIXTY \
  DENSA_TEN("") DENSA_TEN("1") DENSA_TEN("2") DENSA_TEN("3") DENSA_TEN("4") DENSA_TEN("5")
#define DENSA_SUM_64 DENSA_SIXTY "%60, %61, %62, %63"
#define DENSA_SUM_128 \
  DENSA_SIXTY \
  DENSA_TEN("6") DENSA_TEN("7") DENSA_TEN("8") DENSA_TEN("9") DENSA_TEN("10") DENSA_TEN("11") \
  "%120, %121, %122, %123, %124, %125, %126, %127"
// clang-format on
#define DENSA_REGISTERS_4(j) "+f"(sum[j][0]), "+f"(sum[j][1]), "+f"(sum[j][2]), "+f"(sum[j][3])
#define DENSA_REGISTERS_16(j)                                                   \
  DENSA_REGISTERS_4(j), DENSA_REGISTERS_4((j) + 1), DENSA_REGISTERS_4((j) + 2), \
      DENSA_REGISTERS_4((j) + 3)
#define DENSA_REGISTERS_64(j)                                                      \
  DENSA_REGISTERS_16(j), DENSA_REGISTERS_16((j) + 4), DENSA_REGISTERS_16((j) + 8), \
      DENSA_REGISTERS_16((j) + 12)
#define DENSA_WGMMA(shape, types, names, a, w, turn_a, turn_w, ...)                               \
  DENSA_ASM_90A("{ .reg .pred add;\nsetp.eq.u32 add, 0, 0;\nwgmma.mma_async.sync.aligned." shape  \
                "k16.f32." types " {" names "}, %" a ", %" w ", add, 1, 1, %" turn_a ", %" turn_w \
                "; }"                                                                             \
                : __VA_ARGS__                                                                     \
                : "l"(at_a), "l"(at_w), "n"(kATransposed ? 1 : 0), "n"(kWTransposed ? 1 : 0))

template <bool kBFloat16, int kN, bool kATransposed, bool kWTransposed>
__device__ __forceinline__ void warpgroup_multiply(float (&sum)[kN / 8][4], std::uint64_t at_a,
                                                   std::uint64_t at_w) {
  static_assert(kN == 128 || kN == 256);
  if constexpr (kN == 128 && kBFloat16) {
    DENSA_WGMMA("m64n128", "bf16.bf16", DENSA_SUM_64, "64", "65", "66", "67",
                DENSA_REGISTERS_64(0));
  } else if constexpr (kN == 128) {
    DENSA_WGMMA("m64n128", "f16.f16", DENSA_SUM_64, "64", "65", "66", "67", DENSA_REGISTERS_64(0));
  } else if constexpr (kBFloat16) {
    DENSA_WGMMA("m64n256", "bf16.bf16", DENSA_SUM_128, "128", "129", "130", "131",
                DENSA_REGISTERS_64(0), DENSA_REGISTERS_64(16));
  } else {
    DENSA_WGMMA("m64n256", "f16.f16", DENSA_SUM_128, "128", "129", "130", "131",
                DENSA_REGISTERS_64(0), DENSA_REGISTERS_64(16));
  }
}

#undef DENSA_WGMMA
#undef DENSA_REGISTERS_64
#undef DENSA_REGISTERS_16
#undef DENSA_REGISTERS_4
#undef DENSA_SUM_128
#undef DENSA_SUM_64
#undef DENSA_SIXTY
#undef DENSA_TEN
#undef DENSA_ASM_90A

}  // namespace densa::inline DENSA_ISA
