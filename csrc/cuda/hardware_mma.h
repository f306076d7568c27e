// The words of cuda/mma.h on a real GPU. On one that lacks them a kernel stops with an error: such
// kernels are not launched there.
#pragma once
#include <cuda_runtime.h>

#include "cuda/kernel.h"

namespace densa::inline DENSA_ISA {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define DENSA_ASM_80(...) __trap()
#else
#define DENSA_ASM_80(...) asm volatile(__VA_ARGS__)
#endif

__device__ __forceinline__ std::uint32_t to_tf32(float x) {
  std::uint32_t out = 0;
  DENSA_ASM_80("cvt.rna.tf32.f32 %0, %1;" : "=r"(out) : "f"(x));
  return out & 0xffffe000u;
}

#define DENSA_MMA(name, shape)                                                        \
  __device__ __forceinline__ void name(float(&c)[4], const std::uint32_t(&a)[4],      \
                                       const std::uint32_t(&b)[2]) {                  \
    DENSA_ASM_80("mma.sync.aligned." shape                                            \
                 " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"   \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])); \
  }
DENSA_MMA(mma_tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
DENSA_MMA(mma_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
DENSA_MMA(mma_f16, "m16n8k16.row.col.f32.f16.f16.f32")
#undef DENSA_MMA

template <int kN>
__device__ __forceinline__ void copy_four_async(Shared<float, kN>& x, int i, const float* p,
                                                std::ptrdiff_t at, int count) {
  [[maybe_unused]] const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(x.data + i));
  [[maybe_unused]] const float* const from = count > 0 ? p + at : p;
  DENSA_ASM_80("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(count * 4)
               : "memory");
}
template <int kN>
__device__ __forceinline__ void copy_one_async(Shared<float, kN>& x, int i, const float* p,
                                               std::ptrdiff_t at, int count) {
  [[maybe_unused]] const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(x.data + i));
  [[maybe_unused]] const float* const from = count > 0 ? p + at : p;
  DENSA_ASM_80("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(count * 4)
               : "memory");
}
template <int kN>
__device__ __forceinline__ void copy_eight_async(Shared<std::uint32_t, kN>& x, int i,
                                                 const std::uint16_t* p, std::ptrdiff_t at,
                                                 int count) {
  [[maybe_unused]] const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(x.data + i));
  [[maybe_unused]] const std::uint16_t* const from = count > 0 ? p + at : p;
  DENSA_ASM_80("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(count * 2)
               : "memory");
}
__device__ __forceinline__ void copies_end_group() {
  DENSA_ASM_80("cp.async.commit_group;" ::: "memory");
}
template <int kLeft>
__device__ __forceinline__ void copies_wait() {
  DENSA_ASM_80("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

#define DENSA_LOAD_MATRICES(name, how)                                                     \
  template <int kN>                                                                        \
  __device__ __forceinline__ void name(const Shared<std::uint32_t, kN>& x, int i,          \
                                       std::uint32_t(&out)[4]) {                           \
    [[maybe_unused]] const auto from =                                                     \
        static_cast<std::uint32_t>(__cvta_generic_to_shared(x.data + i));                  \
    DENSA_ASM_80("ldmatrix.sync.aligned.m8n8.x4" how ".shared.b16 {%0, %1, %2, %3}, [%4];" \
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])                  \
                 : "r"(from)                                                               \
                 : "memory");                                                              \
  }
DENSA_LOAD_MATRICES(load_matrices, "")
DENSA_LOAD_MATRICES(load_matrices_transposed, ".trans")
#undef DENSA_LOAD_MATRICES

__device__ __forceinline__ std::uint32_t pack_bfloat16(float low, float high) {
  std::uint32_t out = 0;
  DENSA_ASM_80("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}
__device__ __forceinline__ std::uint32_t pack_float16(float low, float high) {
  std::uint32_t out = 0;
  DENSA_ASM_80("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}

#undef DENSA_ASM_80

}  // namespace densa::inline DENSA_ISA
