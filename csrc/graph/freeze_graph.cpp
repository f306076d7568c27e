// A program that is being frozen as a graph: readers, moved elements, dense nodes as numbers.
#include <algorithm>
#include <numeric>

#include "graph/freeze_parts.h"

namespace densa::freezing {

bool has_rows(const Dims& shape) {
  return !shape.empty() && shape[0] == kRows &&
         std::none_of(shape.begin() + 1, shape.end(), is_open);
}

std::int64_t row_size(const Dims& shape) { return element_count(with_rows(shape, 1)); }

Readers::Readers(const Program& program)
    : nodes(program.values.size()), uses(program.use_counts()), output(program.values.size(), 0) {
  for (std::size_t n = 0; n < program.nodes.size(); ++n)
    for (int id : program.nodes[n].in)
      if (nodes[id].empty() || nodes[id].back() != static_cast<int>(n))
        nodes[id].push_back(static_cast<int>(n));
  for (const auto& [name, id] : program.outputs) output[id] = 1;
}

void replace_uses(Program& program, int from, int to) {
  for (ProgramNode& node : program.nodes) std::replace(node.in.begin(), node.in.end(), from, to);
  for (auto& [name, id] : program.outputs)
    if (id == from) id = to;
}

std::optional<std::vector<std::int64_t>> moved_elements(const Program& program,
                                                        const ProgramNode& node) {
  static constexpr std::string_view kMoving[] = {"reshape", "transpose", "slice", "concatenate"};
  if (node.kind != NodeKind::kOp ||
      std::find(std::begin(kMoving), std::end(kMoving), node.op->name) == std::end(kMoving))
    return std::nullopt;
  const Dims& shape = program.values[node.out[0]].type.shape;
  if (!has_rows(shape)) return std::nullopt;
  // The op itself moves the numbers of the elements of one row.
  std::vector<Value> in;
  std::int64_t first = 0;
  for (int id : node.in) {
    const Dims& from = program.values[id].type.shape;
    if (!has_rows(from)) return std::nullopt;
    Numbers places(static_cast<std::size_t>(row_size(from)));
    std::iota(places.begin(), places.end(), static_cast<double>(first));
    first += row_size(from);
    in.push_back(tensor_of(with_rows(from, 1), places));
  }
  // A reshape that makes other rows of the same elements.
  if (is(node, "reshape") && row_size(shape) != first) return std::nullopt;
  Attrs attrs = node.attrs;
  if (is(node, "reshape")) {
    const Dims one = with_rows(shape, 1);
    attrs.set("shape", Ints(one.begin(), one.end()));
  }
  const Value out = eager_builder().apply_all(node.op->name, in, attrs)[0];
  if (!(out->type.shape == with_rows(shape, 1))) return std::nullopt;
  const Value row = eager("reshape", {out}, {{"shape", Ints{row_size(shape)}}});
  const std::span<const double> places = numbers_of(make_contiguous(as_tensor_ptr(row, "freeze")));
  return std::vector<std::int64_t>(places.begin(), places.end());
}

bool is_constant_dense(const Program& program, const ProgramNode& node) {
  if (!is(node, "dense") || !has_rows(program.values[node.out[0]].type.shape)) return false;
  return std::all_of(node.in.begin() + 1, node.in.end(),
                     [&](int id) { return is_constant(program, id); });
}

std::string dense_name(const Program& program, const ProgramNode& node) {
  const std::string& name = program.values[node.in[1]].name;
  return name.empty() ? "a dense without a name" : name;
}

ConstantDense::ConstantDense(const Program& program, const ProgramNode& node) {
  const ProgramValue& kernel = program.values[node.in[1]];
  in = kernel.type.shape[0], out = kernel.type.shape[1];
  w_name = kernel.name;
  const Value w_tensor = tensor_of(program, node.in[1]);
  w.assign(numbers_of(w_tensor).begin(), numbers_of(w_tensor).end());
  b.assign(static_cast<std::size_t>(out), 0.0);
  if (node.in.size() < 3) return;
  b_name = program.values[node.in[2]].name;
  const Value b_tensor = tensor_of(program, node.in[2]);
  b.assign(numbers_of(b_tensor).begin(), numbers_of(b_tensor).end());
}

void ConstantDense::store(Program& program, ProgramNode& node) const {
  const auto add = [&](const Dims& shape, const Numbers& numbers, const std::string& name) {
    const int id = program.add_constant(tensor_of(shape, numbers));
    program.values[id].name = name;
    return id;
  };
  node.in[1] = add({in, out}, w, w_name);
  const bool none = std::all_of(b.begin(), b.end(), [](double number) { return number == 0; });
  if (node.in.size() < 3) {
    if (none) return;
    node.in.push_back(0);
  }
  node.in[2] = add({out}, b, b_name);
}

}  // namespace densa::freezing
