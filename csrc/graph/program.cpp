#include "graph/program.h"

#include <algorithm>

namespace densa {

int Program::add_input(std::string name, TypeInfo type) {
  for (int id : inputs)
    if (values[id].name == name)
      throw ValueError(cat("program: there already is an input '", name, "'"));
  values.push_back({.type = type, .source = Source::kInput, .name = std::move(name)});
  inputs.push_back(static_cast<int>(values.size()) - 1);
  return inputs.back();
}

int Program::add_variable(const std::shared_ptr<Variable>& variable) {
  auto [at, fresh] = variable_values_.try_emplace(variable.get(), static_cast<int>(values.size()));
  if (fresh)
    values.push_back({.type = variable->type(),
                      .source = Source::kVariable,
                      .name = variable->name(),
                      .variable = variable});
  return at->second;
}

int Program::add_constant(const Value& tensor) {
  values.push_back({.type = tensor->type, .source = Source::kConstant, .constant = tensor});
  return static_cast<int>(values.size()) - 1;
}

int Program::add_number(TypeInfo type, double number) {
  if (has_open(type.shape)) {
    const int one = add_number({type.dtype, {}}, number);
    return add_op("broadcast_to", {one}, {{"shape", Ints(type.shape.begin(), type.shape.end())}});
  }
  values.push_back({.type = type, .source = Source::kConstant, .number = number});
  return static_cast<int>(values.size()) - 1;
}

int Program::add_op(std::string_view op, std::initializer_list<int> in, const Attrs& attrs) {
  return add_op(find_op(op), std::span(in.begin(), in.size()), attrs)[0];
}

std::vector<int> Program::add_op(const Op& op, std::span<const int> in, const Attrs& attrs) {
  std::vector<TypeInfo> types;
  for (int id : in) types.push_back(values[id].type);
  std::vector<int> out;
  for (TypeInfo& type : op.infer(types, attrs)) {
    out.push_back(static_cast<int>(values.size()));
    values.push_back({.type = type, .node = static_cast<int>(nodes.size())});
  }
  nodes.push_back(
      {.op = &op, .in = {in.begin(), in.end()}, .out = out, .attrs = attrs, .place = place});
  return out;
}

void Program::add_assign(const std::shared_ptr<Variable>& variable, int value) {
  const TypeInfo& to = variable->type();
  if (values[value].type.shape != to.shape)
    throw ShapeError(cat("assign: variable '", variable->name(), "' has shape ",
                         to_string(to.shape), " but the value has ",
                         to_string(values[value].type.shape)));
  if (values[value].type.dtype != to.dtype)
    value = add_op("cast", {value}, {{"dtype", std::string(dtype_name(to.dtype))}});
  add_variable(variable);
  // A later assignment replaces an earlier one: only the last is written when the step ends.
  std::erase_if(nodes, [&](const ProgramNode& node) {
    return node.kind == NodeKind::kAssign && node.variable == variable;
  });
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i)
    for (int id : nodes[i].out) values[id].node = i;
  nodes.push_back({.kind = NodeKind::kAssign, .in = {value}, .variable = variable, .place = place});
  assigned_[variable.get()] = value;
}

int Program::current_value(const std::shared_ptr<Variable>& variable) {
  const auto found = assigned_.find(variable.get());
  return found != assigned_.end() ? found->second : add_variable(variable);
}

std::vector<int> Program::use_counts() const {
  std::vector<int> counts(values.size(), 0);
  for (const ProgramNode& node : nodes)
    for (int id : node.in) ++counts[id];
  for (const auto& [name, id] : outputs) ++counts[id];
  return counts;
}

void Program::remove_unused() {
  std::vector<char> live(values.size(), 0);
  for (const auto& [name, id] : outputs) live[id] = 1;
  std::vector<char> keep(nodes.size(), 0);
  for (int i = static_cast<int>(nodes.size()) - 1; i >= 0; --i) {
    const ProgramNode& node = nodes[i];
    keep[i] = node.kind != NodeKind::kOp;
    for (int id : node.out) keep[i] |= live[id];
    if (keep[i])
      for (int id : node.in) live[id] = 1;
  }
  for (int id : inputs) live[id] = 1;
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i)
    if (keep[i])
      for (int id : nodes[i].out)
        live[id] = 1;  // an unread output of a needed node keeps its place

  std::vector<int> moved(values.size(), -1);
  std::vector<ProgramValue> new_values;
  for (int id = 0; id < static_cast<int>(values.size()); ++id)
    if (live[id]) {
      moved[id] = static_cast<int>(new_values.size());
      new_values.push_back(std::move(values[id]));
    }
  std::vector<ProgramNode> new_nodes;
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    if (!keep[i]) continue;
    for (int& id : nodes[i].in) id = moved[id];
    for (int& id : nodes[i].out) {
      id = moved[id];
      new_values[id].node = static_cast<int>(new_nodes.size());
    }
    new_nodes.push_back(std::move(nodes[i]));
  }
  values = std::move(new_values);
  nodes = std::move(new_nodes);
  for (int& id : inputs) id = moved[id];
  for (auto& [name, id] : outputs) id = moved[id];
  variable_values_.clear();
  for (int id = 0; id < static_cast<int>(values.size()); ++id)
    if (values[id].source == Source::kVariable) variable_values_[values[id].variable.get()] = id;
  assigned_.clear();
  for (const ProgramNode& node : nodes)
    if (node.kind == NodeKind::kAssign) assigned_[node.variable.get()] = node.in[0];
}

bool Program::joins_rows() const {
  return std::ranges::any_of(values, [](const ProgramValue& value) {
    return std::ranges::any_of(value.type.shape,
                               [](std::int64_t d) { return is_open(d) && d != kRows; });
  });
}

bool Program::is_scalar_constant(int id, double* number) const {
  const ProgramValue& value = values[id];
  if (value.source != Source::kConstant) return false;
  if (!value.constant) {
    *number = value.number;
    return true;
  }
  if (!value.type.shape.empty()) return false;
  const auto* tensor = dynamic_cast<const TensorNode*>(value.constant.get());
  if (tensor == nullptr) return false;
  *number = visit_any_dtype(value.type.dtype, [&](auto zero) {
    return static_cast<double>(*tensor->view().as<decltype(zero)>());
  });
  return true;
}

namespace {

std::string value_text(const Program& program, int id) {
  const ProgramValue& value = program.values[id];
  if (value.source == Source::kConstant && !value.constant && value.type.shape.empty())
    return cat(value.number);
  return cat('%', id);
}

std::string type_text(const TypeInfo& type) {
  return cat(dtype_name(type.dtype), to_string(type.shape));
}

}  // namespace

std::string Program::text() const {
  std::ostringstream out;
  for (int id = 0; id < static_cast<int>(values.size()); ++id) {
    const ProgramValue& value = values[id];
    if (value.source == Source::kNode) continue;
    if (value.source == Source::kConstant && !value.constant && value.type.shape.empty()) continue;
    out << '%' << id << " = ";
    if (value.source == Source::kInput) out << "input " << value.name;
    if (value.source == Source::kVariable) out << "variable " << value.name;
    if (value.source == Source::kConstant) {
      out << "constant";
      if (!value.name.empty()) out << ' ' << value.name;
      if (!value.constant) out << ' ' << value.number;
    }
    out << " : " << type_text(value.type) << '\n';
  }
  for (const ProgramNode& node : nodes) {
    for (std::size_t i = 0; i < node.out.size(); ++i) out << (i ? ", %" : "%") << node.out[i];
    if (!node.out.empty()) out << " = ";
    if (node.kind == NodeKind::kAssign) out << "assign " << node.variable->name() << ' ';
    if (node.kind == NodeKind::kUpdate) out << "update " << node.variable->name() << ' ';
    if (node.kind == NodeKind::kOp) out << node.op->name << ' ';
    for (std::size_t i = 0; i < node.in.size(); ++i)
      out << (i ? ", " : "") << value_text(*this, node.in[i]);
    if (const std::string attrs = node.attrs.text(); !attrs.empty()) out << " {" << attrs << '}';
    for (std::size_t i = 0; i < node.out.size(); ++i)
      out << (i ? ", " : " : ") << type_text(values[node.out[i]].type);
    out << '\n';
  }
  for (const auto& [name, id] : outputs)
    out << "output " << name << " = " << value_text(*this, id) << '\n';
  return out.str();
}

// ---- Recorder -------------------------------------------------------------------------------

Value Recorder::symbol(int id) {
  return std::make_shared<Symbol>(&program_, id, program_.values[id].type);
}

int Recorder::id_of(const Value& value) {
  if (const auto* symbol = dynamic_cast<const Symbol*>(value.get())) {
    if (symbol->program != &program_)
      throw ValueError(
          "a tensor of another recording is used here: keep tensors made in call() inside call()");
    return symbol->id;
  }
  return program_.add_constant(to_device(as_tensor_ptr(value, "a constant"), kCpu));
}

std::vector<Value> Recorder::run_op(const Op& op, std::span<const Value> in, const Attrs& attrs) {
  std::vector<int> ids;
  for (const Value& value : in) ids.push_back(id_of(value));
  if (where) program_.place = where();
  std::vector<Value> out;
  for (int id : program_.add_op(op, ids, attrs)) out.push_back(symbol(id));
  const auto open = [](const Value& value) { return has_open(value->type.shape); };
  if (open_alike && std::ranges::none_of(in, open) && std::ranges::any_of(out, open) &&
      program_.joins_rows())
    throw NeedsRows(cat(op.name, ": whether the first axis of ", to_string(out[0]->type.shape),
                        " counts the rows of the batch or those of a reshaped value needs to know "
                        "how many there are"));
  return out;
}

Value Recorder::full(const TypeInfo& type, double number) {
  return symbol(program_.add_number(type, number));
}

Value Recorder::read_variable(const std::shared_ptr<Variable>& variable) {
  return symbol(program_.current_value(variable));
}

void Recorder::assign_variable(const std::shared_ptr<Variable>& variable, const Value& value) {
  if (where) program_.place = where();
  program_.add_assign(variable, id_of(value));
}

}  // namespace densa
