#include <map>
#include <optional>
#include <string>

#include "graph/rewrite.h"
#include "ops/matmul/precision.h"

namespace densa {
namespace {

bool is(const ProgramNode& node, std::string_view op) {
  return node.kind == NodeKind::kOp && op == node.op->name;
}

// a (op) b for two numbers, where the op is plain arithmetic.
std::optional<double> arithmetic(std::string_view op, double a, double b) {
  if (op == "add") return a + b;
  if (op == "subtract") return a - b;
  if (op == "multiply") return a * b;
  if (op == "divide") return a / b;
  return std::nullopt;
}

// Which input comes out unchanged: 0, 1, or -1 for neither.
int neutral(const Program& program, const ProgramNode& node) {
  double number = 0;
  if (node.in.size() != 2) return -1;
  const TypeInfo& out = program.values[node.out[0]].type;
  const bool first = program.values[node.in[0]].type == out;
  const bool second = program.values[node.in[1]].type == out;
  if (first && program.is_scalar_constant(node.in[1], &number)) {
    if (number == 1 && (is(node, "multiply") || is(node, "divide"))) return 0;
    if (number == 0 && is(node, "subtract")) return 0;
  }
  if (second && program.is_scalar_constant(node.in[0], &number) && number == 1 &&
      is(node, "multiply"))
    return 1;
  return -1;
}

bool dynamic_rows(const Program& program, int value) {
  const Dims& shape = program.values[value].type.shape;
  return !shape.empty() && shape[0] == kRows;
}

bool is_arithmetic(const ProgramNode& node) {
  return is(node, "add") || is(node, "subtract") || is(node, "multiply") || is(node, "divide");
}

}  // namespace

void simplify(Program& program) {
  std::map<std::string, std::vector<int>> seen;  // an application's text to its outputs
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (node.kind != NodeKind::kOp || node.out.empty()) return false;
    const TypeInfo out = program.values[node.out[0]].type;

    if ((is(node, "cast") || is(node, "broadcast_to") || is(node, "reshape") ||
         is(node, "sum_to")) &&
        program.values[node.in[0]].type == out) {
      rewriter.replace(node.out[0], node.in[0]);
      return true;
    }
    if (const int kept = neutral(program, node); kept >= 0) {
      rewriter.replace(node.out[0], node.in[kept]);
      return true;
    }
    double a = 0, b = 0;
    if (out.shape.empty() && is_floating(out.dtype) && node.in.size() == 2 &&
        program.is_scalar_constant(node.in[0], &a) && program.is_scalar_constant(node.in[1], &b))
      if (const auto number = arithmetic(node.op->name, a, b)) {
        rewriter.replace(node.out[0], program.add_number(out, *number));
        return true;
      }
    // A number keeps being a number in another shape.
    if (is(node, "reshape") && program.is_scalar_constant(node.in[0], &a) &&
        is_floating(out.dtype)) {
      rewriter.replace(node.out[0], program.add_number(out, a));
      return true;
    }
    if (is(node, "negative") && out.shape.empty() && program.is_scalar_constant(node.in[0], &a)) {
      rewriter.replace(node.out[0], program.add_number(out, -a));
      return true;
    }

    // A broadcast number next to an operand of the full shape may stay a number.
    std::vector<int> in = node.in;
    // Every batch value has as many rows as an input: no need to wait for this one.
    if (is(node, "row_count") && dynamic_rows(program, in[0]))
      for (int input : program.inputs)
        if (dynamic_rows(program, input)) {
          in[0] = input;
          break;
        }
    if (is_arithmetic(node))
      for (int k = 0; k < 2; ++k) {
        const ProgramValue& value = program.values[in[k]];
        if (value.node < 0 || !(program.values[in[1 - k]].type == out)) continue;
        const ProgramNode& maker = program.nodes[value.node];
        if (is(maker, "broadcast_to") && program.values[maker.in[0]].type.shape.empty())
          in[k] = maker.in[0];
      }

    std::string key = cat(node.op->name, ' ', node.attrs.text());
    for (int id : in) key += cat(' ', id);
    if (const auto found = seen.find(key); found != seen.end()) {
      for (std::size_t i = 0; i < node.out.size(); ++i)
        rewriter.replace(node.out[i], found->second[i]);
      return true;
    }
    if (in == node.in) {
      seen[key] = node.out;
      return false;
    }
    const std::vector<int> fresh = program.add_op(*node.op, in, node.attrs);
    rewriter.replace(node.out[0], fresh[0]);
    seen[key] = fresh;
    return true;
  });
}

void fuse_dense(Program& program) {
  Rewriter products(program);
  products.run([&](const ProgramNode& node) {
    if (is(node, "matmul") && program.values[node.in[0]].type.shape.rank() >= 2 &&
        program.values[node.in[1]].type.shape.rank() == 2 &&
        !node.attrs.get_bool("transpose_a", false) && !node.attrs.get_bool("transpose_b", false)) {
      products.replace(node.out[0], program.add_op("dense", {node.in[0], node.in[1]},
                                                   ops::precision_of(node.attrs)));
      return true;
    }
    return false;
  });
  const std::vector<int> uses = program.use_counts();
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (!is(node, "add")) return false;
    for (int k = 0; k < 2; ++k) {
      const ProgramValue& product = program.values[node.in[k]];
      const TypeInfo& bias = program.values[node.in[1 - k]].type;
      if (product.node < 0) continue;
      const ProgramNode maker = program.nodes[product.node];
      if (!is(maker, "dense") || maker.in.size() != 2 || maker.attrs.has("activation")) continue;
      if (bias.shape.rank() != 1 || bias.shape[0] != product.type.shape.back()) continue;
      // The product itself must have no other reader.
      if (node.in[k] < static_cast<int>(uses.size()) && uses[node.in[k]] > 1) continue;
      rewriter.replace(
          node.out[0],
          program.add_op("dense", {maker.in[0], maker.in[1], node.in[1 - k]}, maker.attrs));
      return true;
    }
    return false;
  });
}

void split_dense(Program& program) {
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (!is(node, "dense")) return false;
    if (!node.attrs.has("activation")) return false;
    const std::string activation = node.attrs.get_string("activation", "");
    Attrs rest;
    for (const auto& [name, value] : node.attrs.items())
      if (name != "activation" && name != "precision") rest.set(name, value);
    int y = program.add_op(*node.op, node.in, ops::precision_of(node.attrs))[0];
    if (!activation.empty()) y = program.add_op(activation, {y}, rest);
    rewriter.replace(node.out[0], y);
    return true;
  });
}

}  // namespace densa
