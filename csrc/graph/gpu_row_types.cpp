// What nodes are to a program of rows.
#include <algorithm>
#include <string>

#include "graph/gpu_row_program.h"
#include "graph/internal_ops.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/slopes.h"
#include "ops/matmul/precision.h"
#include "ops/round_all/round_all.h"

namespace densa {
namespace {

using Kind = RowStepKind;

int unary_number(const std::string& name) {
  const UnaryKernel* kernel = find_unary(name.c_str());
  return kernel == nullptr ? -1 : static_cast<int>(kernel - unary_table().kernels);
}

}  // namespace

int row_binary_number(const char* name) {
  const BinaryKernel* kernel = find_binary(name);
  if (kernel == nullptr || std::string_view(name) == "power") return -1;
  return static_cast<int>(kernel - binary_table().kernels);
}

bool has_no_rows(const TypeInfo& type) { return !has_open(type.shape); }
bool is_number(const TypeInfo& type) { return has_no_rows(type) && element_count(type.shape) == 1; }

NumberFormat rounding_of(const Program& program, const ProgramNode& node) {
  if (node.kind != NodeKind::kOp || node.in.size() != 1) return NumberFormat::kFull;
  if (const DType to = program.values[node.out[0]].type.dtype;
      to != DType::kFloat32 && !is_half(to))
    return NumberFormat::kFull;
  const std::string_view name = node.op->name;
  return name == "round_bfloat16"  ? NumberFormat::kBFloat16
         : name == "round_float16" ? NumberFormat::kFloat16
                                   : NumberFormat::kFull;
}

bool RowTypes::is_rounded(int id, NumberFormat format) const {
  if (is_half(type(id).dtype)) return format_of(type(id).dtype) == format;
  const int maker = program_.values[id].node;
  if (maker < 0) return false;
  const ProgramNode& node = program_.nodes[maker];
  if (node.kind == NodeKind::kOp && node.op->alias) return is_rounded(node.in[0], format);
  if (node.op == &round_all_op())
    return format_of(dtype_from_name(node.attrs.get_string("format", ""))) == format;
  return rounding_of(program_, node) == format;
}

Meaning RowTypes::meaning(const ProgramNode& node) const {
  if (node.kind != NodeKind::kOp || node.in.empty()) return {};
  const std::string_view name = node.op->name;
  const int x = node.in[0], y = node.out[0];
  const std::int64_t wide = width(y);
  const auto step = [](Kind kind, int fn = -1, double parameter = 0) {
    return Meaning{Role::kStep, kind, fn, parameter};
  };
  const auto with_formula = [&](Kind kind, const std::string& fn) {
    const int number = unary_number(fn);
    if (number < 0) return Meaning{};
    const UnaryKernel& kernel = unary_table().kernels[number];
    return step(
        kind, number,
        kernel.attribute == nullptr ? 0 : node.attrs.get_double(kernel.attribute, kernel.missing));
  };
  if (name == "dense" || name == "matmul") {
    Meaning made = product(node);
    const std::string activation = node.attrs.get_string("activation", "");
    if (made.role != Role::kNone && !activation.empty()) {
      const NumberFormat factors = made.factors;
      made = with_formula(made.kind, activation);
      made.factors = factors;
    }
    return made;
  }
  if ((name == "sum" || name == "mean") && width(x) > 0) return reduction(node);
  if (node.out.size() == 1 && node.in.size() == 1 && wide > 0 && width(x) == wide &&
      unary_number(std::string(name)) >= 0)
    return with_formula(Kind::kUnary, std::string(name));
  if (name == "unary_slope" || name == "unary_pair") {
    const std::string fn = node.attrs.get_string("fn", "");
    const UnaryKernel* kernel = find_unary(fn.c_str());
    const bool pair = name == "unary_pair";
    if (kernel == nullptr || wide == 0 ||
        !std::ranges::all_of(node.in, [&](int id) { return is_operand(id, y); }))
      return {};
    if (kernel->saved != Saved::kOutput && !has_cheap_slope(fn) && !has_usual_slope(fn)) return {};
    if (pair && (kernel->saved == Saved::kOutput || width(x) != wide)) return {};
    return with_formula(pair ? Kind::kPair : Kind::kSlope, fn);
  }
  if (node.in.size() == 2 && row_binary_number(node.op->name) >= 0) {
    const bool fits = wide > 0 && is_operand(x, y) && is_operand(node.in[1], y);
    return fits ? step(Kind::kBinary, row_binary_number(node.op->name)) : Meaning{};
  }
  if (name == "broadcast_to" && wide > 0 && is_operand(x, y)) return {.role = Role::kAlias};
  if (name == "reshape" && wide > 0 && width(x) == wide) return {.role = Role::kAlias};
  if (name == "dropout" && wide > 0) return step(Kind::kDropout);
  if (name == "softmax" && is_matrix(x) &&
      normalize_axis(node.attrs.get_int("axis", -1), 2, "softmax") == 1)
    return step(Kind::kSoftmax);
  if ((node.op == &loss_pair_op() || name == "sparse_softmax_cross_entropy" ||
       name == "softmax_cross_entropy") &&
      is_matrix(x)) {
    const int target = node.in[1], dy = node.in.size() > 2 ? node.in[2] : -1;
    const bool fits =
        (is_label(target) || (is_matrix(target) && width(target) == width(x))) &&
        (dy < 0 || (is_ours(dy) && (is_number(type(dy)) || type(dy).shape == type(y).shape)));
    return fits ? step(Kind::kLoss, -1, node.attrs.get_double("label_smoothing", 0)) : Meaning{};
  }
  if (name == "accuracy_sparse" && is_matrix(x) && is_label(node.in[1]) && wide > 0)
    return step(Kind::kAccuracy);
  return {};
}

Meaning RowTypes::product(const ProgramNode& node) const {
  const int x = node.in[0], w = node.in[1];
  Meaning made{.role = Role::kStep};
  if (const std::string name = ops::precision_name(node.attrs); !name.empty())
    made.factors = format_of(dtype_from_name(name));
  if (!is_matrix(x) || (made.factors != NumberFormat::kFull && dtype_ != DType::kFloat32))
    return {};
  // Rows are rounded where need be, weights are not.
  const bool has_weight = is_weight(w) && width(node.out[0]) > 0 &&
                          (made.factors == NumberFormat::kFull || is_rounded(w, made.factors));
  if (std::string_view(node.op->name) == "dense") {
    const bool has_bias = node.in.size() > 2;
    if (!has_weight || (has_bias && is_half(type(node.in[2]).dtype))) return {};
    made.kind = Kind::kDense;
    return made;
  }
  const bool a = node.attrs.get_bool("transpose_a", false),
             b = node.attrs.get_bool("transpose_b", false);
  made.kind = a ? Kind::kWeightSum : Kind::kBackward;
  const bool fits = a ? !b && is_matrix(w) : b && has_weight;
  return fits ? made : Meaning{};
}

Meaning RowTypes::reduction(const ProgramNode& node) const {
  const Dims& shape = type(node.in[0]).shape;
  const bool mean = std::string_view(node.op->name) == "mean";
  if (!is_ours(node.out[0])) return {};
  std::vector<char> reduced(static_cast<std::size_t>(shape.rank()), 0);
  const Ints axes = node.attrs.get_ints("axis");
  for (std::int64_t axis : axes)
    reduced[static_cast<std::size_t>(normalize_axis(axis, shape.rank(), "sum"))] = 1;
  const bool all = axes.empty() || std::ranges::find(reduced, 0) == reduced.end();
  if (all) return {Role::kStep, Kind::kTotal, mean ? 1 : 0};
  if (reduced[1] != 0) return {Role::kStep, Kind::kRowSum, mean ? 1 : 0};
  return mean ? Meaning{} : Meaning{Role::kStep, Kind::kColumnSum};
}

}  // namespace densa
