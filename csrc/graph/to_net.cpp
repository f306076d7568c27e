#include "graph/to_net.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

#include "base/pack.h"
#include "base/storage.h"
#include "graph/internal_ops.h"

namespace densa {
namespace {

class NetMaker {
 public:
  explicit NetMaker(const Program& program) : program_(program) {}

  Net run() {
    for (int input : program_.inputs) {
      const ProgramValue& value = program_.values[input];
      inputs_[input] = static_cast<int>(net_.inputs.size());
      net_.inputs.push_back({value.name, value.type});
    }
    for (const ProgramNode& node : program_.nodes) {
      if (node.kind != NodeKind::kOp)
        throw ValueError("freeze: the network changes a variable where it predicts");
      if (node.op == &feed_op()) {
        feed(node);
        continue;
      }
      NetNode made{node.op, {}, {}, node.attrs, {}};
      for (std::size_t i = 0; i < node.in.size(); ++i)
        made.in.push_back(read(node.in[i], i == 1 && is_product(node)));
      if (is_product(node)) made.name = program_.values[node.in[1]].name;
      for (int id : node.out) {
        NetValue value;
        value.type = program_.values[id].type;
        made.out.push_back(add(id, value));
      }
      net_.nodes.push_back(std::move(made));
    }
    for (const auto& [name, id] : program_.outputs) net_.outputs.push_back({name, read(id, false)});
    fill_arena();
    return std::move(net_);
  }

 private:
  // x·w of rows with constant weights, whose kernel wants w in panels.
  bool is_product(const ProgramNode& node) const {
    const std::string_view name = node.op->name;
    if (name != "dense" && (name != "matmul" || node.attrs.get_bool("transpose_a", false) ||
                            node.attrs.get_bool("transpose_b", false)))
      return false;
    const TypeInfo &x = program_.values[node.in[0]].type, &w = program_.values[node.in[1]].type;
    return x.shape.rank() >= 2 && x.shape[0] == kRows && w.shape.rank() == 2 &&
           matrix_rows(x.shape) > 0;
  }

  int add(int id, const NetValue& value) {
    const int made = static_cast<int>(net_.values.size());
    net_.values.push_back(value);
    values_[{id, false}] = made;
    return made;
  }

  void feed(const ProgramNode& node) {
    const TypeInfo& type = program_.values[node.out[0]].type;
    if (!is_floating(type.dtype) && !(type == program_.values[node.in[0]].type)) {
      // Numbers that stay whole are not fed: they only take another shape.
      const Ints shape(type.shape.begin(), type.shape.end());
      NetNode made{&find_op("reshape"), {read(node.in[0], false)}, {}, {{"shape", shape}}, {}};
      NetValue value;
      value.type = type;
      made.out.push_back(add(node.out[0], value));
      net_.nodes.push_back(std::move(made));
      return;
    }
    NetValue value;
    value.type = type;
    value.input = inputs_.at(node.in[0]);
    value.scale = node.attrs.get_double("scale", 1);
    value.offset = node.attrs.get_double("offset", 0);
    const bool same =
        value.type == program_.values[node.in[0]].type && value.scale == 1 && value.offset == 0;
    value.kind = same ? NetValue::kInput : NetValue::kFeed;
    add(node.out[0], value);
  }

  int read(int id, bool panels) {
    if (const auto found = values_.find({id, panels}); found != values_.end()) return found->second;
    const ProgramValue& from = program_.values[id];
    NetValue value;
    value.type = from.type;
    if (from.source == Source::kInput) {
      value.kind = NetValue::kInput;
      value.input = inputs_.at(id);
    } else if (from.source == Source::kNode) {
      return values_.at({id, false});  // panels are for constants
    } else {
      value.kind = NetValue::kConstant;
      value.packing = panels ? Packing::kPanels : Packing::kRows;
      constants_.emplace_back(static_cast<int>(net_.values.size()), id);
    }
    const int made = static_cast<int>(net_.values.size());
    net_.values.push_back(value);
    values_[{id, panels}] = made;
    return made;
  }

  TensorPtr tensor_of(const ProgramValue& value) const {
    const TensorPtr found = value.variable != nullptr
                                ? as_tensor_ptr(value.variable->value(), "freeze")
                            : value.constant != nullptr ? as_tensor_ptr(value.constant, "freeze")
                                                        : full_tensor(value.type, value.number);
    return make_contiguous(to_device(found, kCpu));
  }

  void fill_arena() {
    constexpr std::size_t kLine = 64;
    std::size_t bytes = 0;
    for (const auto& [made, id] : constants_) {
      NetValue& value = net_.values[static_cast<std::size_t>(made)];
      value.at = bytes;
      bytes += (constant_bytes(value) + kLine - 1) / kLine * kLine;
    }
    const auto storage = Storage::zeros(std::max(bytes, kLine));
    auto* const arena = static_cast<std::byte*>(storage->data());
    for (const auto& [made, id] : constants_) {
      const NetValue& value = net_.values[static_cast<std::size_t>(made)];
      const TensorPtr tensor = tensor_of(program_.values[id]);
      if (value.packing == Packing::kPanels) {
        const std::int64_t rows = value.type.shape[0], cols = value.type.shape[1];
        const auto pack = [&](auto zero) {
          using T = decltype(zero);
          pack_panels<T>({reinterpret_cast<T*>(arena + value.at), rows * kPanel},
                         static_cast<const T*>(tensor->data()), rows, cols, cols);
        };
        value.type.dtype == DType::kFloat64 ? pack(double{}) : pack(float{});
      } else {
        std::memcpy(arena + value.at, tensor->data(),
                    byte_count(value.type.shape, item_size(value.type.dtype)));
      }
    }
    net_.owner = storage;
    net_.arena = arena;
    net_.arena_bytes = bytes;
  }

  const Program& program_;
  Net net_;
  std::map<int, int> inputs_;                   // value of the program to input
  std::map<std::pair<int, bool>, int> values_;  // ... and in panels? to value of the net
  std::vector<std::pair<int, int>> constants_;  // value of the net, of the program
};

}  // namespace

Net to_net(const Program& program) { return NetMaker(program).run(); }

}  // namespace densa
