// row_program: what a network does to each row of a batch, in one op that only plans on a GPU have:
// layers, their gradients, losses, and sums over all rows.
//
// A block takes a tile of rows through the program's steps, one after another. Values of a row are
// runs of columns of the tile, in shared memory; the program says where each one begins. Sums over
// rows (gradients of weights, means of losses) are made for each block apart, in scratch, and
// joined by a second launch in a fixed order. A tile holds what arithmetic is in; float32 numbers
// may lie in 16 bits in memory, and steps may round to them. Attributes:
//   steps    the program: RowSteps, in whole numbers
//   names    the same, to be read
//   columns  of the tile
//   rows_of  the input whose rows are those of the batch
//   sizes    elements of each sum over rows; sums are the last outputs, values of rows the first
//   widths   for each sum: 0, or the columns over which it is a mean
//   masks    of dropouts: for each seed, stream, step, every, use and the bits of its rate
#pragma once
#include <cstdint>
#include <type_traits>
#include <vector>

#include "base/number_format.h"
#include "ops/network/network.h"

namespace densa {

enum class RowStepKind : std::uint8_t {
  kLoad,       // out = rows of input a
  kStore,      // rows of output b = a
  kDense,      // out = f(a w + bias); inputs c: w, bias
  kNorm,       // out = f(batch norm of a); inputs c: gamma, beta, mean, variance
  kUnary,      // out = f(a)
  kPair,       // out = f(a), out2 = f'(a)
  kSlope,      // out = b f'(a)
  kBinary,     // out = a op b
  kDropout,    // out = a where the mask `fn` keeps it
  kRowSum,     // out = the sum of a's columns, or its mean
  kSoftmax,    // out = softmax(a)
  kLoss,       // out = softmax cross-entropy of a for b, out2 = its gradient, times c
  kAccuracy,   // out = 1 where a is largest at the label, else 0
  kBackward,   // out = a w', input c: w
  kWeightSum,  // sum over rows: a' b
  kColumnSum,  // sum over rows: a
  kTotal,      // sum over rows and columns: a
};
inline constexpr const char* kRowStepNames[] = {
    "load",     "store",    "dense",      "norm",       "unary",   "pair",
    "slope",    "binary",   "dropout",    "row_sum",    "softmax", "loss",
    "accuracy", "backward", "weight_sum", "column_sum", "total"};

// Where a step reads, in 16 bits: kind, how numbers of an input or output lie in memory, index.
struct RowOperand {
  enum Kind : std::uint8_t {
    kColumns,  // as many columns as the result, from `index` on
    kColumn,   // one column for all
    kScalar,   // input `index`, one number for all
    kVector,   // input `index`, a number for each column
  };
  std::uint16_t bits = 0;

  static constexpr RowOperand of(Kind kind, std::int64_t index,
                                 NumberFormat format = NumberFormat::kFull) {
    return {static_cast<std::uint16_t>(kind << 14 | static_cast<int>(format) << 12 | index)};
  }
  constexpr Kind kind() const { return static_cast<Kind>(bits >> 14); }
  constexpr NumberFormat format() const { return static_cast<NumberFormat>(bits >> 12 & 3); }
  constexpr int index() const { return bits & 0xfff; }
};

enum RowStepFlags : std::uint8_t {
  kHasBias = 1,
  kIsMean = 1,     // of kRowSum
  kHasLabels = 1,  // of kLoss: the program's labels instead of b
  kLossAlone = 2,  // of kLoss: without the gradient
};

struct RowStep {
  RowStepKind kind = RowStepKind::kLoad;
  std::int8_t fn = -1;  // number of a formula, of a binary formula, of a mask
  std::uint8_t flags = 0;
  // What results are rounded to: out, two bits on out2. Of kDense, kBackward and elementwise steps.
  std::uint8_t rounds = 0;
  RowOperand a, b, c;
  std::uint16_t out = 0, out2 = 0;  // first columns
  std::uint16_t in = 0, wide = 0;   // columns of a; of the result
  std::uint16_t more = 0;
  std::int32_t sum = 0;  // where a sum over rows begins
  double parameter = 0;

  constexpr NumberFormat rounding(int which = 0) const {
    return static_cast<NumberFormat>(rounds >> 2 * which & 3);
  }
};
static_assert(std::is_trivially_copyable_v<RowStep> && sizeof(RowStep) == 32);

// Whether steps of that kind heed `rounds`.
constexpr bool rounds_results(RowStepKind kind) {
  switch (kind) {
    case RowStepKind::kDense:
    case RowStepKind::kUnary:
    case RowStepKind::kPair:
    case RowStepKind::kSlope:
    case RowStepKind::kBinary:
    case RowStepKind::kDropout:
    case RowStepKind::kBackward: return true;
    default: return false;
  }
}

// What one launch takes.
inline constexpr std::size_t kMostRowSteps = 76, kMostRowInputs = 136, kMostRowOutputs = 16,
                             kMostRowSums = 64, kMostRowMasks = 6;
inline constexpr std::int64_t kTileBytes = 44 << 10;
inline constexpr int kLeastTile = 4;                     // rows
static_assert(kTileBytes / (kLeastTile * 4) <= 0x1000);  // RowOperand::index
// Blocks whose sums are joined.
inline constexpr std::int64_t kMostRowBlocks = 128;

const Op& row_program_op();

inline Ints row_steps_code(const std::vector<RowStep>& steps) {
  constexpr std::size_t kWords = sizeof(RowStep) / 8;
  Ints code(steps.size() * kWords);
  if (!code.empty()) __builtin_memcpy(code.data(), steps.data(), 8 * code.size());
  return code;
}
inline std::vector<RowStep> parse_row_steps(const Ints& code) {
  std::vector<RowStep> steps(code.size() * 8 / sizeof(RowStep));
  if (!code.empty())
    __builtin_memcpy(static_cast<void*>(steps.data()), code.data(), 8 * code.size());
  return steps;
}

// The columns of a tile, so that a row after the next begins in other banks of shared memory.
constexpr std::int64_t tile_columns(std::int64_t columns) {
  const std::int64_t fours = (columns + 3) / 4;
  return 4 * (fours % 2 == 0 ? fours + 1 : fours);
}

inline constexpr std::size_t kRowMaskWords = 6;  // of `masks`

}  // namespace densa
