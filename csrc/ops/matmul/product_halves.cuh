// Numbers of 16 bits as the kernels of tensor cores handle them: two at a time, in one word.
#pragma once
#include "cuda/mma.h"
#include "ops/matmul/product_mixed.cuh"
#include "ops/matmul/product_warps.cuh"

namespace densa::inline DENSA_ISA {

__device__ inline std::uint32_t pack(NumberFormat to, float low, float high) {
  return to == NumberFormat::kBFloat16 ? pack_bfloat16(low, high) : pack_float16(low, high);
}

// Whether its numbers can be copied as they lie, eight at a time.
DENSA_HD inline bool is_direct(const MixedOperand& operand) {
  return operand.by_eight && operand.data.format == operand.precision;
}

// Eight neighbours in k from `at` on, of which `count` exist; the rest are zeros. Not rounded.
__device__ inline void load_eight(const MixedOperand& operand, std::ptrdiff_t at, int count,
                                  float (&to)[8]) {
  if (operand.by_four && operand.along_k && count == 8 &&
      operand.data.format == NumberFormat::kFull) {
    const Four<float> low = load_four(operand.data.full(), at);
    const Four<float> high = load_four(operand.data.full(), at + 4);
    for (int j = 0; j < 4; ++j) {
      to[j] = low.x[j];
      to[4 + j] = high.x[j];
    }
  } else {
    for (int j = 0; j < 8; ++j) to[j] = j < count ? operand.data[at + j * operand.k_step] : 0;
  }
}
__device__ inline Four<std::uint32_t> pack_eight(NumberFormat to, const float (&x)[8]) {
  Four<std::uint32_t> words;
  for (int j = 0; j < 4; ++j) words.x[j] = pack(to, x[2 * j], x[2 * j + 1]);
  return words;
}

// finish_four with the rounding of the hardware, for finish_sums.
struct FinishHalves {
  const MixedProduct& p;
  __device__ void operator()(const Four<float>& sums, std::int64_t at, std::int64_t count) const {
    Four<float> y;
    for (int j = 0; j < 4; ++j) y.x[j] = p.finish(sums.x[j]);
    if (p.y.format == NumberFormat::kFull) {
      if (p.y_by_four) return store_four(p.y.full(), at, y);
      for (int j = 0; j < 4; ++j)
        if (j < count) p.y.full()[at + j] = y.x[j];
      return;
    }
    Four<std::uint16_t> halves;
    for (int j = 0; j < 4; j += 2) {
      const std::uint32_t two = pack(p.y.format, y.x[j], y.x[j + 1]);
      halves.x[j] = static_cast<std::uint16_t>(two);
      halves.x[j + 1] = static_cast<std::uint16_t>(two >> 16);
    }
    if (p.y_by_four) return store_four(p.y.half(), at, halves);
    for (int j = 0; j < 4; ++j)
      if (j < count) p.y.half()[at + j] = halves.x[j];
  }
};

}  // namespace densa::inline DENSA_ISA
