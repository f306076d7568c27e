// Plans hold no 16-bit floats: such a value becomes a float32 one with the same numbers.
#include <map>

#include "graph/rewrite.h"
#include "tensor/tape.h"

namespace densa {
namespace {

Value in_float32(const Value& constant) {
  const GradMode off(false);
  return eager_builder().apply("cast", {constant}, {{"dtype", std::string("float32")}});
}

double rounded(double number, DType dtype) {
  return dtype == DType::kFloat16 ? static_cast<double>(static_cast<float>(float16(number)))
                                  : static_cast<double>(static_cast<float>(bfloat16(number)));
}

void widen_sources(Program& program) {
  for (ProgramValue& value : program.values) {
    if (!is_half(value.type.dtype) || value.source == Source::kNode) continue;
    if (value.source != Source::kConstant)
      throw ValueError(cat("plan: '", value.name, "' is ", dtype_name(value.type.dtype),
                           "; inputs and variables of a plan are float32 or wider"));
    if (value.constant) {
      value.constant = in_float32(value.constant);
    } else {
      value.number = rounded(value.number, value.type.dtype);
    }
    value.type.dtype = DType::kFloat32;
  }
}

// x as a float32 value whose numbers are those of `half`; freezing reads the attribute `asked`.
int round_to(Program& program, int x, DType half, bool asked) {
  const auto cast = [&](int value, DType dtype) {
    if (program.values[value].type.dtype == dtype) return value;
    return program.add_op("cast", {value}, {{"dtype", std::string(dtype_name(dtype))}});
  };
  if (!is_floating(program.values[x].type.dtype)) x = cast(x, DType::kFloat32);
  const std::string op = cat("round_", dtype_name(half));
  const Attrs attrs = asked ? Attrs{{"asked", true}} : Attrs{};
  return cast(program.add_op(op, {x}, attrs), DType::kFloat32);
}

}  // namespace

void widen_half(Program& program) {
  widen_sources(program);
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (node.kind != NodeKind::kOp) return false;
    const bool casts = std::string_view(node.op->name) == "cast";
    const DType dtype = program.values[node.out[0]].type.dtype;
    if (!is_half(dtype)) {
      if (!casts || program.values[node.in[0]].type.dtype != dtype) return false;
      rewriter.replace(node.out[0], node.in[0]);
      return true;
    }
    if (casts) {
      rewriter.replace(node.out[0],
                       round_to(program, node.in[0], dtype, node.attrs.get_bool("asked", false)));
      return true;
    }
    const int wide = program.add_op(*node.op, node.in, node.attrs)[0];  // its inputs are by now
    if (is_half(program.values[wide].type.dtype))
      throw TypeError(cat(node.op->name, ": cannot write ", dtype_name(dtype), " in a plan"));
    rewriter.replace(node.out[0], wide);
    return true;
  });
}

void simplify_rounding(Program& program) {
  std::map<int, int> rounded;  // a value -> what it is rounded to
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (node.kind != NodeKind::kOp) return false;
    const std::string_view name = node.op->name;
    if (name == "round_float16" || name == "round_bfloat16") {
      const int maker = program.values[node.in[0]].node;
      if (maker >= 0 && program.nodes[maker].op == node.op) {
        rewriter.replace(node.out[0], node.in[0]);
        return true;
      }
      rounded[node.in[0]] = node.out[0];
      return false;
    }
    if (name != "unary_slope" || node.attrs.get_string("fn", "") != "relu") return false;
    const auto y = rounded.find(node.in[0]);
    if (y == rounded.end()) return false;
    rewriter.replace(node.out[0], program.add_op(*node.op, std::vector<int>{y->second, node.in[1]},
                                                 node.attrs)[0]);
    return true;
  });
}

}  // namespace densa
