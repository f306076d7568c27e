// The words of cuda/kernel.h on a real GPU.
#pragma once
#include <cuda_runtime.h>

#include "base/pod.h"
#include "simd/level.h"

namespace densa::inline DENSA_ISA {

template <class T>
using Global = T*;

template <class T, int N>
struct Shared {
  alignas(16) T data[N];
  __device__ __forceinline__ T operator[](int i) const { return data[i]; }
  __device__ __forceinline__ void set(int i, T value) { data[i] = value; }
  __device__ __forceinline__ Four<T> four(int i) const {
    return *reinterpret_cast<const Four<T>*>(data + i);
  }
  __device__ __forceinline__ void set_four(int i, Four<T> value) {
    *reinterpret_cast<Four<T>*>(data + i) = value;
  }
};

template <class T>
__device__ __forceinline__ Four<T> load_four(const T* p, std::ptrdiff_t i) {
  return *reinterpret_cast<const Four<T>*>(p + i);
}
template <class T>
__device__ __forceinline__ void store_four(T* p, std::ptrdiff_t i, Four<T> value) {
  *reinterpret_cast<Four<T>*>(p + i) = value;
}

inline constexpr unsigned kAllLanes = 0xffffffffu;

template <class T>
__device__ __forceinline__ T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(kAllLanes, value, mask);
}
template <class T>
__device__ __forceinline__ T shuffle_down(T value, int offset) {
  return __shfl_down_sync(kAllLanes, value, static_cast<unsigned>(offset));
}
template <class T>
__device__ __forceinline__ T shuffle(T value, int lane) {
  return __shfl_sync(kAllLanes, value, lane);
}
__device__ __forceinline__ bool any_in_warp(bool value) {
  return __any_sync(kAllLanes, value ? 1 : 0) != 0;
}
// Bit l: what lane l said.
__device__ __forceinline__ unsigned lanes_where(bool value) {
  return __ballot_sync(kAllLanes, value ? 1 : 0);
}
__device__ __forceinline__ int first_lane(unsigned lanes) {
  return __ffs(static_cast<int>(lanes)) - 1;
}
__device__ __forceinline__ int count_lanes(unsigned lanes) { return __popc(lanes); }

__device__ __forceinline__ void atomic_min(long long* p, long long value) { atomicMin(p, value); }
__device__ __forceinline__ void atomic_add(int* p, int value) { atomicAdd(p, value); }

}  // namespace densa::inline DENSA_ISA
