// Products with narrow weights, for inference: w in bfloat16 or int8, x and y in float32 panels.
//
// A step is one 32-bit word of each column of w: two bfloat16 or four int8 numbers of consecutive
// rows. w lies as [panels][steps][16] words on every CPU level; rows past `in` are zero.
//
//   bfloat16  x and w are rounded to nearest, ties to even; products are added up in float32, whose
//             order, and whether denormals count as zero, may differ between CPU levels
//   int8      w = q * scale[n] with q from -127 to 127. Each row of x becomes bytes
//             u = round(x / s) + zero, limited to 0 to 255, with s and zero from the row's range,
//             0 included, or given. y = float(sum of (u - zero) * q) * (s * scale[n]) + b, the sum
//             exact: the same bits on every CPU level. A row of x that holds a number that is not
//             finite gives NaN everywhere; one whose s would be under 1e-30 counts as zeros.
//
// A row of y depends on the same row of x alone, and never on how calls are cut.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

enum class Narrow : std::uint8_t { kBFloat16, kInt8 };

constexpr std::int64_t narrow_step(Narrow form) { return form == Narrow::kInt8 ? 4 : 2; }
constexpr std::int64_t narrow_steps(Narrow form, std::int64_t in) {
  return (in + narrow_step(form) - 1) / narrow_step(form);
}
// Beyond it a sum of int8 products may not fit into 32 bits.
inline constexpr std::int64_t kMostInt8In = 65536;

// x as the kernels of this CPU level read it. Writes narrow_x_bytes(form, in) * rows bytes.
struct NarrowPrepare {
  Panels<const float> x;  // its padding is not read
  std::byte* to = nullptr;
  std::int64_t in = 0, rows = 0;
  float scale = 0;  // int8: s of every row, at least 1e-30; 0: from each row
  std::int32_t zero = 0;
};
// At most 8 bytes a step, in panels of 16 steps; s and zero of each row behind them.
constexpr std::int64_t narrow_x_bytes(Narrow form, std::int64_t in) {
  return padded(narrow_steps(form, in)) * 8 + 8;
}

// y's panels [first_panel, last_panel) of all rows; its padding columns become b's.
struct NarrowForward {
  const std::byte* x = nullptr;  // from prepare
  const std::byte* w = nullptr;
  const float* scale = nullptr;       // int8: a row of padded(out) numbers
  const std::int32_t* sum = nullptr;  // int8: the sum of the q of each column, as many
  const float* b = nullptr;           // null: zeros
  Panels<float> y;
  std::int64_t in = 0, rows = 0;
  std::int64_t first_panel = 0, last_panel = 0;
};

// One CPU level's kernels of one form. `x` of prepare and w are aligned to 64 bytes.
struct NarrowKernels {
  void (*prepare)(const NarrowPrepare&);
  void (*forward)(const NarrowForward&);
};
const NarrowKernels& narrow_kernels(Narrow form);  // of this machine's level

// ---- weights --------------------------------------------------------------------------------

// Bytes of w: the words; for int8 behind them `scale` and `sum`, each padded(out) numbers.
struct NarrowWeights {
  std::int64_t words, scale, sum, bytes;  // where the parts begin, and the end
};
constexpr NarrowWeights narrow_weights(Narrow form, std::int64_t in, std::int64_t out) {
  const std::int64_t words = padded(out) * narrow_steps(form, in) * 4;
  const std::int64_t row = form == Narrow::kInt8 ? padded(out) * 4 : 0;
  return {0, words, words + row, words + 2 * row};
}
// Throws ValueError for int8 where a weight is not finite or `in` is above kMostInt8In.
void narrow_pack(Narrow form, std::byte* to, const Panels<const float>& w, std::int64_t in,
                 std::int64_t out);

}  // namespace densa
