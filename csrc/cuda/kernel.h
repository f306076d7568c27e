// What a .cu file may use: CUDA's own words on hardware, the same words in the emulation.
//
// - Global<T>: a pointer into device memory: T* on hardware, checked against bounds when emulated
// - Shared<T, N>: N elements of a block's shared memory, read by x[i] and written by x.set(i, v)
// - Four<T>: four neighbours at once, from a multiple of their size, but of at most 16 bytes:
//   load_four(p, i), store_four(p, i, v), where fits_four(p); x.four(i), x.set_four(i, v)
// - threadIdx blockIdx blockDim gridDim __global__ __device__ __shared__ __syncthreads __syncwarp
// - shuffle_xor shuffle_down shuffle any_in_warp lanes_where: across a warp, all 32 of
//   which call; first_lane count_lanes: of a mask that lanes_where gave
// - atomic_min atomic_add: on whole numbers, so that the order does not matter
//
// Formulas (simd/, */formula.h) are used as they are: a thread is one lane.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/pod.h"
#include "simd/level.h"

namespace densa::inline DENSA_ISA {

template <class T>
struct alignas(sizeof(T) < 4 ? 4 * sizeof(T) : 16) Four {
  T x[4];
};
// Whether elements 0, 4, 8 and so on of p are such places.
template <class T>
DENSA_HD bool fits_four(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % alignof(Four<T>) == 0;
}

}  // namespace densa::inline DENSA_ISA

#if defined(DENSA_EMULATED)
#include "cuda/emulation/kernel.h"
#else
#include "cuda/hardware_kernel.h"
#endif

// Before a loop of fixed length over an array that is to live in registers.
#if defined(__CUDACC__)
#define DENSA_UNROLL _Pragma("unroll")
#else
#define DENSA_UNROLL
#endif
// Before a loop that the compiler would copy several times for nothing.
#if defined(__CUDA_ARCH__)
#define DENSA_ROLLED _Pragma("unroll 1")
#else
#define DENSA_ROLLED
#endif
// A device function that kernels call instead of holding copies of it.
#if defined(__CUDACC__)
#define DENSA_SHARED_CODE __noinline__ __device__
#else
#define DENSA_SHARED_CODE inline
#endif

namespace densa::inline DENSA_ISA {

inline constexpr int kWarp = 32;

// Every element i of [0, n) once: a thread takes each gridDim.x * blockDim.x-th one.
struct GridStride {
  __device__ static std::int64_t begin() {
    return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  }
  __device__ static std::int64_t step() {
    return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  }
};

// The sum over the threads of a warp, in each of them: a tree whose shape is always the same.
template <class T>
__device__ T warp_sum(T x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += shuffle_xor(x, offset);
  return x;
}

// The sum over a block of kThreads threads, in each of them, in a fixed order. `room` may be used
// again behind the next barrier.
template <int kThreads, class T>
__device__ T block_sum(T x, Shared<T, kThreads / kWarp>& room) {
  static_assert(kThreads % kWarp == 0);
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) room.set(threadIdx.x / kWarp, x);
  __syncthreads();
  T total = room[0];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) total += room[warp];
  return total;
}

}  // namespace densa::inline DENSA_ISA
