#include "predict/net.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string_view>

#include "base/panel.h"
#include "predict/by_rows.h"

namespace densa {
namespace {

constexpr std::size_t kLine = 64;

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw ValueError(cat("network: ", where, " ", what));
}

void check_shape(const std::string& where, const TypeInfo& type) {
  if (!has_rows(type.shape))
    refuse(where, cat("has shape ", to_string(type.shape), "; its first axis must be the rows"));
  for (int i = 1; i < type.shape.rank(); ++i)
    if (type.shape[i] < 0) refuse(where, cat("has shape ", to_string(type.shape)));
  byte_count(with_rows(type.shape, 1), item_size(type.dtype));
}

void check_scale(const Net& net, const NetNode& node, const std::string& where) {
  if (node.in.size() < 2 || !is_product(net, node) ||
      net.values[static_cast<std::size_t>(node.in[1])].packing != Packing::kInt8)
    refuse(where, "has a scale but no int8 weights");
  if (!(node.x_scale >= 1e-30 && node.x_scale <= 1e36) || node.x_zero < 0 || node.x_zero > 255)
    refuse(where, cat("has scale ", node.x_scale, " and zero ", node.x_zero));
}

void check_value(const Net& net, std::size_t v) {
  const NetValue& value = net.values[v];
  const std::string where = cat("value %", v);
  if (value.kind == NetValue::kConstant) {
    for (std::int64_t d : value.type.shape)
      if (d < 0) refuse(where, cat("is a constant of shape ", to_string(value.type.shape)));
    if (value.packing != Packing::kRows &&
        (value.type.shape.rank() != 2 || !is_floating(value.type.dtype)))
      refuse(where, "lies in panels but is no floating matrix");
    if ((is_narrow(value.packing) || value.packing == Packing::kSparse) &&
        value.type.dtype != DType::kFloat32)
      refuse(where, "has narrow or sparse numbers but is no matrix of float32");
    if (value.packing == Packing::kInt8 && value.type.shape[0] > kMostInt8In)
      refuse(where, cat("has int8 numbers but more than ", kMostInt8In, " rows"));
    const std::size_t bytes = constant_bytes(value);
    if (value.at % kLine != 0 || value.at > net.arena_bytes || bytes > net.arena_bytes - value.at)
      refuse(where, cat("lies at bytes ", value.at, " to ", value.at, " + ", bytes,
                        " of an arena of ", net.arena_bytes));
    if (value.packing == Packing::kSparse)
      sparse_index(net.arena + value.at, value.blocks, value.type.shape[0], value.type.shape[1]);
    return;
  }
  check_shape(where, value.type);
  if (value.kind == NetValue::kNode) return;
  if (value.input < 0 || value.input >= static_cast<int>(net.inputs.size()))
    refuse(where, cat("reads input ", value.input, " of ", net.inputs.size()));
  const TypeInfo& given = net.inputs[static_cast<std::size_t>(value.input)].type;
  if (value.kind == NetValue::kInput && !(given == value.type))
    refuse(where, "is an input of another type");
  if (value.kind == NetValue::kFeed &&
      (is_half(value.type.dtype) || !is_floating(value.type.dtype) || is_half(given.dtype) ||
       element_count(with_rows(given.shape, 1)) != element_count(with_rows(value.type.shape, 1))))
    refuse(where, "cannot be made from its input");
}

}  // namespace

std::size_t constant_bytes(const NetValue& value) {
  const Dims& shape = value.type.shape;
  const std::size_t item = item_size(value.type.dtype);
  byte_count(shape, item);  // what it lets pass can be padded
  if (value.packing == Packing::kRows) return byte_count({padded(element_count(shape))}, item);
  const std::size_t bytes = byte_count({panel_count(shape[1]), shape[0], kPanel}, item);
  if (is_narrow(value.packing))
    return static_cast<std::size_t>(
        narrow_weights(narrow_form(value.packing), shape[0], shape[1]).bytes);
  if (value.packing == Packing::kPanels) return bytes;
  const std::int64_t most =
      std::min<std::int64_t>(panel_count(shape[1]) * shape[0], std::int64_t{0xFFFFFFFF});
  if (value.blocks < 0 || value.blocks > most)
    throw ValueError(cat("sparse weights of shape ", to_string(shape), " have at most ", most,
                         " blocks, got ", value.blocks));
  return static_cast<std::size_t>(sparse_parts(value.blocks, shape[1]).bytes);
}

bool is_product(const Net& net, const NetNode& node) {
  const std::string_view name = node.op->name;
  if (name != "dense" && (name != "matmul" || node.attrs.get_bool("transpose_a", false) ||
                          node.attrs.get_bool("transpose_b", false)))
    return false;
  const NetValue& w = net.values[static_cast<std::size_t>(node.in[1])];
  return w.kind == NetValue::kConstant && w.packing != Packing::kRows;
}

std::int64_t matrix_rows(const Dims& shape) {
  std::int64_t rows = 1;
  if (shape.rank() > 2 && std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  for (int i = 1; i + 1 < shape.rank(); ++i) rows *= shape[i];
  return rows;
}

void check_net(const Net& net) {
  if (net.outputs.empty()) throw ValueError("network: it has no outputs");
  for (const NetInput& input : net.inputs) check_shape(cat("input '", input.name, "'"), input.type);
  for (std::size_t v = 0; v < net.values.size(); ++v) check_value(net, v);

  std::vector<bool> known(net.values.size());
  for (std::size_t v = 0; v < known.size(); ++v) known[v] = net.values[v].kind != NetValue::kNode;
  const auto check_id = [&](int id, const std::string& where) {
    if (id < 0 || id >= static_cast<int>(net.values.size()))
      refuse(where, cat("names value %", id, " of ", net.values.size()));
  };
  for (std::size_t n = 0; n < net.nodes.size(); ++n) {
    const NetNode& node = net.nodes[n];
    const std::string where = cat("node ", n, " (", node.op->name, ")");
    std::vector<TypeInfo> types;
    for (int id : node.in) {
      check_id(id, where);
      if (!known[static_cast<std::size_t>(id)])
        refuse(where, cat("reads %", id, " before it is made"));
      types.push_back(net.values[static_cast<std::size_t>(id)].type);
    }
    if (node.out.empty()) refuse(where, "makes nothing");
    for (int id : node.out) {
      check_id(id, where);
      if (known[static_cast<std::size_t>(id)]) refuse(where, cat("makes %", id, " again"));
      known[static_cast<std::size_t>(id)] = true;
    }
    std::vector<TypeInfo> results;
    for (int id : node.out) results.push_back(net.values[static_cast<std::size_t>(id)].type);
    const std::string why = not_by_rows(*node.op, node.attrs, types, results);
    if (!why.empty()) refuse(where, why);
    if (node.x_scale != 0 || node.x_zero != 0) check_scale(net, node, where);
    for (const TypeInfo& type : types)
      if (is_half(type.dtype)) refuse(where, "reads 16-bit numbers");
    const std::vector<TypeInfo> made = node.op->infer(types, node.attrs);
    if (made.size() != node.out.size()) refuse(where, cat("makes ", made.size(), " values"));
    for (std::size_t i = 0; i < made.size(); ++i)
      if (!(made[i] == net.values[static_cast<std::size_t>(node.out[i])].type))
        refuse(where, cat("makes ", dtype_name(made[i].dtype), to_string(made[i].shape),
                          ", which is not what is written"));
  }
  for (const NetOutput& output : net.outputs) {
    const std::string where = cat("output '", output.name, "'");
    check_id(output.value, where);
    if (!known[static_cast<std::size_t>(output.value)]) refuse(where, "is never made");
    check_shape(where, net.values[static_cast<std::size_t>(output.value)].type);
  }
}

std::string to_string(const Net& net) {
  std::ostringstream out;
  const auto typed = [&](int id) {
    const TypeInfo& type = net.values[static_cast<std::size_t>(id)].type;
    return cat('%', id, ' ', dtype_name(type.dtype), to_string(type.shape));
  };
  for (std::size_t v = 0; v < net.values.size(); ++v) {
    const NetValue& value = net.values[v];
    const int id = static_cast<int>(v);
    if (value.kind == NetValue::kInput || value.kind == NetValue::kFeed) {
      out << typed(id) << " = input " << net.inputs[static_cast<std::size_t>(value.input)].name;
      if (value.scale != 1 || value.offset != 0)
        out << " * " << value.scale << " + " << value.offset;
      out << '\n';
    } else if (value.kind == NetValue::kConstant) {
      static constexpr std::string_view kForms[] = {"", "", " in bfloat16", " in int8", ", sparse"};
      out << typed(id) << " = constant" << kForms[static_cast<int>(value.packing)];
      if (value.packing == Packing::kSparse) out << ": " << value.blocks << " blocks";
      out << '\n';
    }
  }
  for (const NetNode& node : net.nodes) {
    out << typed(node.out[0]) << " = " << node.op->name;
    for (int id : node.in) out << " %" << id;
    const std::string attrs = node.attrs.text();
    if (!attrs.empty()) out << " {" << attrs << '}';
    if (!node.name.empty()) out << " of " << node.name;
    if (node.x_scale != 0) out << ", x / " << node.x_scale << " + " << node.x_zero;
    out << '\n';
  }
  for (const NetOutput& output : net.outputs)
    out << "output " << output.name << " = %" << output.value << '\n';
  return out.str();
}

}  // namespace densa
