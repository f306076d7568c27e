// What the passes of freeze() share; only graph/freeze*.cpp include it. A program between its first
// pass and its last is float64 throughout, and all its constants are row-major tensors.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/freeze.h"

namespace densa::freezing {

using Numbers = std::vector<double>;

// ---- constants (freeze_constants.cpp) -----------------------------------------------------------

// Variables become constants; floating constants and results take dtype `to`, with a cast behind
// each floating input of another one.
void retype(Program& program, DType to);
// Ops on constants alone are done now. A product with a constant matrix becomes a dense.
void evaluate_constants(Program& program);
// Every constant is a tensor; equal ones are one value.
void finish_constants(Program& program);

// One op on float64 CPU tensors.
Value eager(std::string_view op, std::initializer_list<Value> in, const Attrs& attrs = {});
Value tensor_of(const Program& program, int constant);
Value tensor_of(const Dims& shape, std::span<const double> numbers);
std::span<const double> numbers_of(const Value& tensor);

// ---- roundings to 16 bits (freeze_roundings.cpp) ------------------------------------------------

// Before widen_half: a cast has the attribute `asked` if the network asks for it, as a user's own
// cast does, or if it rounds what an op makes of numbers that were asked for.
void mark_roundings(Program& program);
// After it: roundings that were not asked for disappear.
void drop_roundings(Program& program, FreezeReport* report);

// ---- the program as a graph ---------------------------------------------------------------------

inline bool is(const ProgramNode& node, std::string_view op) {
  return node.kind == NodeKind::kOp && op == node.op->name;
}
inline bool is_constant(const Program& program, int value) {
  return program.values[value].source == Source::kConstant;
}
// Whether axis 0 are the rows of the batch, and the elements of one row.
bool has_rows(const Dims& shape);
std::int64_t row_size(const Dims& shape);

// Who reads what, while nodes do not change.
struct Readers {
  explicit Readers(const Program& program);
  std::vector<std::vector<int>> nodes;  // of each value: the nodes that read it, once each
  std::vector<int> uses;                // of each value: readings by nodes and outputs
  std::vector<char> output;             // of each value: is an output of the program
};
// Whoever reads `from` reads `to`.
void replace_uses(Program& program, int from, int to);

// For an op that only moves elements of a row (reshape, transpose, slice, concatenate): which
// element of its inputs' rows, counted through all of them, each element of its output's row is.
std::optional<std::vector<std::int64_t>> moved_elements(const Program& program,
                                                        const ProgramNode& node);

// ---- dense --------------------------------------------------------------------------------------

// A dense whose w and b are constants, as numbers.
struct ConstantDense {
  std::int64_t in = 0, out = 0;
  Numbers w, b;
  std::string w_name, b_name;

  ConstantDense(const Program& program, const ProgramNode& node);
  // Gives the node new constants; with b where there was none, if any of it is not 0.
  void store(Program& program, ProgramNode& node) const;
};
bool is_constant_dense(const Program& program, const ProgramNode& node);
std::string dense_name(const Program& program, const ProgramNode& node);

// ---- affine -------------------------------------------------------------------------------------

// y = (x - c) * s + t, with numbers for each element of a row of x.
struct Affine {
  Numbers c, s, t;
  Numbers unit;  // how large y is taken to be: what the loss of digits is measured against
  std::string name;

  static Affine identity(std::int64_t size);
  bool is_identity() const;
  bool is_shift() const;  // y = x - c
};
using Affines = std::vector<Affine>;

const Op& affine_op();  // x -> y; attribute id: the place in Affines

// Batch norms with known averages and arithmetic with constants become affine nodes.
void find_affines(Program& program, Affines& affines);
// They move into the dense nodes around them where they can, but for those named in `keep`. The
// others are listed in `kept`.
using Keep = std::map<std::string, std::string>;
void fold_affines(Program& program, Affines& affines, const Keep& keep, FreezeReport* report);
// What is left of one in the program: "a scale and a shift".
std::string left_as(const Affine& affine);
// Those left become multiply and add.
void lower_affines(Program& program, const Affines& affines);

// Whether sums of x * s - c * s with weights of these squares lose digits that sums of y have,
// because c is far larger than what y varies by.
bool loses_digits(const Affine& affine, std::span<const double> weight_squares);

// ---- merging and removing -----------------------------------------------------------------------

void merge_dense(Program& program, const Keep& keep, FreezeReport* report);

// Bounds of each column (last axis) of each value; lo == hi: known. Empty: nothing is known.
struct Range {
  Numbers lo, hi;
};
std::vector<Range> find_ranges(const Program& program);

void prune_units(Program& program, FreezeReport* report);

}  // namespace densa::freezing
