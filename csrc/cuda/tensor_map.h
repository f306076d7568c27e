// How the copy engine of sm_90 (TMA) sees a stack of matrices of 16-bit numbers.
#pragma once
#include <cstddef>
#include <cstdint>

namespace densa::cuda {

// Boxes of 64 x 64 numbers, 128 bytes by 64 rows, are what is copied at a time; numbers of a box
// that lie outside of the matrix are zeros.
inline constexpr int kBoxSide = 64;
inline constexpr std::uint32_t kBoxBytes = kBoxSide * kBoxSide * 2;

// `count` matrices of far x near numbers; element (z, far, near) lies at
// z * step + far * pitch + near. All counts from 1, in numbers.
struct MatrixStack {
  const void* data = nullptr;  // at a multiple of 16 bytes
  std::int64_t near = 1, far = 1, count = 1;
  std::int64_t pitch = 8;  // at least near, a multiple of 8
  std::int64_t step = 8;   // a multiple of the pitch; any if count is 1
};

// An argument of a kernel, which takes it as const __grid_constant__.
#if defined(DENSA_EMULATED)
struct TensorMap {
  MatrixStack stack;
};
#else
struct alignas(128) TensorMap {
  unsigned char driver_words[128];  // a CUtensorMap
};
#endif

// Throws std::runtime_error where the driver refuses the stack or knows no tensor maps.
TensorMap tensor_map(const MatrixStack& stack);

}  // namespace densa::cuda
