// Net: a frozen network as data, what a predictor runs and what its file holds.
//
// Values are numbered. Each is an input as the caller gives it, an input converted to a floating
// type (a feed), a constant in the arena, or the output of one node. Nodes stand in an order in
// which every node comes after those that it reads from. All values but constants have the rows of
// the batch, kRows, as their first axis, and a row of a result depends on the same row of the
// inputs alone: a batch can be cut anywhere.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/dense/narrow.h"
#include "ops/dense/sparse_weights.h"
#include "ops/op.h"

namespace densa {

// How the numbers of a constant lie in the arena.
enum class Packing : std::uint8_t {
  kRows,    // row-major, followed by zeros up to a multiple of 16 elements
  kPanels,  // a matrix in panels (base/panel.h): the w of a dense op
  // The same in fewer bits (ops/dense/narrow.h); its type is still that of the float32 matrix.
  kBFloat16,
  kInt8,
  kSparse,  // the blocks of a matrix in panels that are not all zeros (ops/dense/sparse_weights.h)
};
constexpr bool is_narrow(Packing packing) {
  return packing == Packing::kBFloat16 || packing == Packing::kInt8;
}
constexpr Narrow narrow_form(Packing packing) {
  return packing == Packing::kInt8 ? Narrow::kInt8 : Narrow::kBFloat16;
}

struct NetValue {
  enum Kind : std::uint8_t { kInput, kFeed, kConstant, kNode };
  TypeInfo type;
  Kind kind = kNode;
  int input = -1;                    // kInput, kFeed: which one
  double scale = 1, offset = 0;      // kFeed: value = number * scale + offset
  Packing packing = Packing::kRows;  // kConstant
  std::int64_t blocks = 0;           // kConstant in kSparse: how many
  std::size_t at = 0;                // kConstant: its first byte in the arena, a multiple of 64
};

struct NetNode {
  const Op* op = nullptr;
  std::vector<int> in, out;
  Attrs attrs;
  std::string name;  // of the layer whose product it is, may be empty
  // With int8 weights: how x is quantized (NarrowPrepare); 0: each row by its own range.
  double x_scale = 0;
  int x_zero = 0;
};

struct NetInput {
  std::string name;
  TypeInfo type;
};
struct NetOutput {
  std::string name;
  int value = -1;
};

struct Net {
  std::vector<NetInput> inputs;
  std::vector<NetOutput> outputs;
  std::vector<NetValue> values;
  std::vector<NetNode> nodes;
  std::shared_ptr<const void> owner;  // keeps the arena
  const std::byte* arena = nullptr;   // aligned to 64 bytes
  std::size_t arena_bytes = 0;
};

// x·w of rows with a constant matrix w that is kept for it: what may have other formats.
bool is_product(const Net& net, const NetNode& node);

// A value of the batch is a matrix to a product: its last axis are the columns, all others the
// rows. How many of them belong to one row of the batch; 0 for a value of more than two axes
// without elements, which is none.
std::int64_t matrix_rows(const Dims& shape);

// Bytes of a constant in the arena. Throws MemoryError beyond reason, ValueError for more blocks
// than a matrix has.
std::size_t constant_bytes(const NetValue& value);

// Throws ValueError, saying where, unless all of the above holds: shapes and types are those that
// the ops infer, constants lie inside of the arena, every op works row by row.
void check_net(const Net& net);

// One line a node, for people.
std::string to_string(const Net& net);

}  // namespace densa
