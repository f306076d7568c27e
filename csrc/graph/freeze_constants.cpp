// Constants of a program that is being frozen, and the program's floating type.
#include <algorithm>
#include <cstring>
#include <map>

#include "graph/freeze_parts.h"
#include "graph/rewrite.h"
#include "ops/matmul/precision.h"
#include "tensor/tape.h"

namespace densa::freezing {
namespace {

bool draws(const Op& op) {
  const std::string_view name = op.name;
  return name.starts_with("random_") || name == "dropout";
}

Value cast_to(const Value& tensor, DType dtype) {
  if (tensor->type.dtype == dtype) return make_contiguous(as_tensor_ptr(tensor, "freeze"));
  return eager("cast", {tensor}, {{"dtype", std::string(dtype_name(dtype))}});
}

// The same attributes where floats are of dtype `to`.
Attrs retyped(const Attrs& attrs, DType to) {
  Attrs out;
  for (const auto& [name, value] : attrs.items()) {
    if (name == "precision") continue;
    const auto* text = name == "dtype" ? std::get_if<std::string>(&value) : nullptr;
    const bool floats = text != nullptr && is_floating(dtype_from_name(*text));
    out.set(name, floats ? AttrValue(std::string(dtype_name(to))) : value);
  }
  return out;
}

}  // namespace

Value eager(std::string_view op, std::initializer_list<Value> in, const Attrs& attrs) {
  const GradMode off(false);
  return eager_builder().apply(op, in, attrs);
}

Value tensor_of(const Program& program, int constant) {
  const ProgramValue& value = program.values[constant];
  if (!value.constant) return full_tensor(value.type, value.number, kCpu);
  return make_contiguous(as_tensor_ptr(value.constant, "freeze"));
}

Value tensor_of(const Dims& shape, std::span<const double> numbers) {
  const TensorPtr tensor = empty_tensor({DType::kFloat64, shape}, kCpu);
  std::copy(numbers.begin(), numbers.end(), static_cast<double*>(tensor->data()));
  return tensor;
}

std::span<const double> numbers_of(const Value& value) {
  const TensorNode& tensor = as_tensor(value, "freeze");
  return {static_cast<const double*>(tensor.data()),
          static_cast<std::size_t>(element_count(tensor.type.shape))};
}

void retype(Program& program, DType to) {
  for (ProgramValue& value : program.values) {
    if (value.source == Source::kVariable) {
      const TensorPtr tensor = empty_tensor(value.type, kCpu);
      value.variable->read(tensor->view());
      value.source = Source::kConstant;
      value.constant = tensor;
      value.variable = nullptr;
    }
    if (value.source != Source::kConstant || !is_floating(value.type.dtype)) continue;
    if (value.constant) value.constant = cast_to(value.constant, to);
    value.type.dtype = to;
  }
  Rewriter rewriter(program);
  for (int input : program.inputs) {
    const TypeInfo type = program.values[input].type;
    if (is_floating(type.dtype) && type.dtype != to)
      rewriter.replace(input,
                       program.add_op("cast", {input}, {{"dtype", std::string(dtype_name(to))}}));
  }
  rewriter.run([&](const ProgramNode& node) {
    if (is(node, "stop_gradient")) {
      rewriter.replace(node.out[0], node.in[0]);
      return true;
    }
    const std::vector<int> out = program.add_op(*node.op, node.in, retyped(node.attrs, to));
    for (std::size_t i = 0; i < out.size(); ++i) rewriter.replace(node.out[i], out[i]);
    return true;
  });
}

void evaluate_constants(Program& program) {
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    const auto known = [&](int id) { return is_constant(program, id); };
    const auto unknown_size = [&](int id) {
      const Dims& shape = program.values[id].type.shape;
      return has_open(shape);
    };
    if (is(node, "matmul") && known(node.in[1]) && !known(node.in[0]) &&
        node.attrs.get_bool("transpose_b", false) && !node.attrs.get_bool("transpose_a", false) &&
        program.values[node.in[0]].type.shape.rank() >= 2 &&
        program.values[node.in[1]].type.shape.rank() == 2) {
      const int w = program.add_constant(make_contiguous(as_tensor_ptr(
          eager("transpose", {tensor_of(program, node.in[1])}, {{"perm", Ints{1, 0}}}), "freeze")));
      program.values[w].name = program.values[node.in[1]].name;
      rewriter.replace(node.out[0], program.add_op("dense", {node.in[0], w}));
      return true;
    }
    if (node.op->eval == nullptr || draws(*node.op) || node.in.empty() ||
        !std::all_of(node.in.begin(), node.in.end(), known) ||
        std::any_of(node.out.begin(), node.out.end(), unknown_size))
      return false;
    std::vector<Value> in;
    for (int id : node.in) in.push_back(tensor_of(program, id));
    const GradMode off(false);
    const std::vector<Value> out = eager_builder().apply_op(*node.op, in, node.attrs);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const int id = program.add_constant(make_contiguous(as_tensor_ptr(out[i], "freeze")));
      program.values[id].name = program.values[node.in[0]].name;
      rewriter.replace(node.out[i], id);
    }
    return true;
  });
}

void finish_constants(Program& program) {
  std::map<std::string, std::vector<int>> seen;  // type to constants
  std::vector<int> same(program.values.size());
  for (std::size_t id = 0; id < same.size(); ++id) {
    same[id] = static_cast<int>(id);
    ProgramValue& value = program.values[id];
    if (value.source != Source::kConstant) continue;
    value.constant = tensor_of(program, static_cast<int>(id));
    const void* data = as_tensor(value.constant, "freeze").data();
    const std::size_t bytes = byte_count(value.type.shape, item_size(value.type.dtype));
    std::vector<int>& alike = seen[cat(dtype_name(value.type.dtype), to_string(value.type.shape))];
    const auto found = std::find_if(alike.begin(), alike.end(), [&](int other) {
      const void* there = as_tensor(program.values[other].constant, "freeze").data();
      return bytes == 0 || std::memcmp(there, data, bytes) == 0;
    });
    if (found == alike.end()) {
      alike.push_back(static_cast<int>(id));
    } else {
      same[id] = *found;
    }
  }
  for (ProgramNode& node : program.nodes)
    for (int& id : node.in) id = same[id];
  for (auto& [name, id] : program.outputs) id = same[id];
  program.remove_unused();
}

}  // namespace densa::freezing
