// Programs of rows (ops/network/row_program.h) in the making: what nodes mean to one, which nodes
// it takes, and how it is written.
#pragma once
#include <optional>
#include <vector>

#include "graph/program.h"
#include "ops/network/row_program.h"

namespace densa {

// What a node is to a program of rows.
enum class Role : std::uint8_t { kNone, kAlias, kStep };  // kAlias: a name of another value
struct Meaning {
  Role role = Role::kNone;
  RowStepKind kind = RowStepKind::kUnary;
  int fn = -1;
  double parameter = 0;
  // Products: what both factors are numbers of; kFull: any numbers.
  NumberFormat factors = NumberFormat::kFull;
};

// What a node rounds float32 numbers to; kFull: it is no such node.
NumberFormat rounding_of(const Program& program, const ProgramNode& node);

// Which of the binary formulas that the kernel knows; -1: none.
int row_binary_number(const char* name);

// Whether a type has no axis of rows, and whether it is one number.
bool has_no_rows(const TypeInfo& type);
bool is_number(const TypeInfo& type);

// The rows of a batch as a program sees them: values of one floating type. Where that is float32,
// they may lie in 16 bits.
class RowTypes {
 public:
  RowTypes(const Program& program, DType dtype) : program_(program), dtype_(dtype) {}

  const TypeInfo& type(int id) const { return program_.values[id].type; }
  bool is_ours(int id) const {
    return type(id).dtype == dtype_ || (dtype_ == DType::kFloat32 && is_half(type(id).dtype));
  }
  // Whether all numbers of a value are of that format, because of how it was made.
  bool is_rounded(int id, NumberFormat format) const;
  // Columns of a value of each row; 0: it is none.
  std::int64_t width(int id) const {
    const Dims& shape = type(id).shape;
    if (!is_ours(id) || shape.empty() || shape[0] != kRows || shape.rank() > 2) return 0;
    const std::int64_t columns = shape.rank() == 2 ? shape[1] : 1;
    return columns <= kWidestLayer ? columns : 0;
  }
  bool is_matrix(int id) const { return width(id) > 0 && type(id).shape.rank() == 2; }
  bool is_weight(int id) const {
    return is_ours(id) && type(id).shape.rank() == 2 && has_no_rows(type(id)) &&
           element_count(type(id).shape) > 0;
  }
  bool is_vector(int id, std::int64_t columns) const {
    return is_ours(id) && has_no_rows(type(id)) && element_count(type(id).shape) == columns &&
           !type(id).shape.empty() && type(id).shape.back() == columns;
  }
  bool is_label(int id) const {
    return is_integer(type(id).dtype) && type(id).shape == Dims{kRows};
  }
  // An operand of a result of `out`'s shape, whose rows are the result's rows.
  bool is_operand(int id, int out) const {
    const std::int64_t columns = width(out);
    if (!is_ours(id)) return false;
    if (is_number(type(id))) return true;
    if (type(out).shape.rank() == 2 && is_vector(id, columns)) return true;
    const std::int64_t own = width(id);
    return type(id).shape.rank() == type(out).shape.rank() && (own == columns || own == 1);
  }

  // The step that a node would be.
  Meaning meaning(const ProgramNode& node) const;

 private:
  Meaning reduction(const ProgramNode& node) const;
  Meaning product(const ProgramNode& node) const;

  const Program& program_;
  DType dtype_;
};

// Whether a step adds up rows, so that its result is none of them.
constexpr bool sums_rows(RowStepKind kind) {
  return kind == RowStepKind::kWeightSum || kind == RowStepKind::kColumnSum ||
         kind == RowStepKind::kTotal;
}

// The nodes that one takes.
struct Region {
  std::vector<char> has;     // for each node
  std::vector<char> behind;  // for each node: it needs what the region gives
  std::vector<Meaning> meaning;
  int label = -1;  // the value that holds class numbers
};

// The node that replaces those of the region in a plan for up to `rows` rows, or nothing where it
// does not fit or costs more than it saves.
std::optional<ProgramNode> write_row_program(const Program& program, const Region& region,
                                             DType dtype, std::int64_t rows);

}  // namespace densa
