// Small frozen networks for native tests, and the bytes of their files.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/pack.h"
#include "base/storage.h"
#include "predict/file.h"

namespace densa {

// Puts a Net together value by value; weights are made up, the same in every run.
class NetBuilder {
 public:
  int input(const std::string& name, DType dtype, const Dims& shape) {
    net_.inputs.push_back({name, {dtype, shape}});
    NetValue value;
    value.kind = NetValue::kInput;
    value.type = {dtype, shape};
    value.input = static_cast<int>(net_.inputs.size()) - 1;
    return add(value);
  }
  // An input's numbers as float32.
  int feed(const std::string& name, DType dtype, const Dims& shape, double scale) {
    net_.inputs.push_back({name, {dtype, shape}});
    NetValue value;
    value.kind = NetValue::kFeed;
    value.type = {DType::kFloat32, shape};
    value.input = static_cast<int>(net_.inputs.size()) - 1;
    value.scale = scale;
    return add(value);
  }
  // Numbers between `least` and `least` + 1.
  int constant(const Dims& shape, Packing packing, float least = -0.5F) {
    NetValue value;
    value.kind = NetValue::kConstant;
    value.type = {DType::kFloat32, shape};
    value.packing = packing;
    value.at = arena_.size();
    std::vector<float> numbers(static_cast<std::size_t>(element_count(shape)));
    for (float& number : numbers) number = least + static_cast<float>(next() % 1000) / 1000;
    arena_.resize(arena_.size() + (constant_bytes(value) + 63) / 64 * 64);
    auto* const to = reinterpret_cast<float*>(arena_.data() + value.at);
    if (packing == Packing::kPanels) {
      pack_panels<float>({to, shape[0] * kPanel}, numbers.data(), shape[0], shape[1], shape[1]);
    } else {
      std::memcpy(to, numbers.data(), numbers.size() * sizeof(float));
    }
    return add(value);
  }
  int node(const char* op, std::vector<int> in, const Attrs& attrs = {}) {
    NetNode node{&find_op(op), std::move(in), {}, attrs};
    std::vector<TypeInfo> types;
    for (int id : node.in) types.push_back(net_.values[static_cast<std::size_t>(id)].type);
    NetValue value;
    value.type = node.op->infer(types, attrs)[0];
    node.out = {add(value)};
    net_.nodes.push_back(node);
    return node.out[0];
  }
  int dense(int x, std::int64_t units, const std::string& activation = "") {
    const std::int64_t in = net_.values[static_cast<std::size_t>(x)].type.shape.back();
    Attrs attrs;
    if (!activation.empty()) attrs.set("activation", activation);
    const int w = constant({in, units}, Packing::kPanels);
    return node("dense", {x, w, constant({units}, Packing::kRows)}, attrs);
  }
  void output(const std::string& name, int value) { net_.outputs.push_back({name, value}); }

  Net net() {
    const auto storage = Storage::zeros(arena_.size() + 1);
    std::copy(arena_.begin(), arena_.end(), static_cast<std::byte*>(storage->data()));
    net_.owner = storage;
    net_.arena = static_cast<const std::byte*>(storage->data());
    net_.arena_bytes = arena_.size();
    return net_;
  }
  std::string file() {
    const Net made = net();
    std::string bytes = net_file_header(made, {});
    bytes.append(reinterpret_cast<const char*>(made.arena), made.arena_bytes);
    return bytes;
  }

 private:
  int add(const NetValue& value) {
    net_.values.push_back(value);
    return static_cast<int>(net_.values.size()) - 1;
  }
  std::uint32_t next() { return seed_ = seed_ * 1664525U + 1013904223U, seed_ >> 8; }

  Net net_;
  std::vector<std::byte> arena_;
  std::uint32_t seed_ = 1;
};

// 19 floats through two dense layers and batch norm to 5 probabilities.
inline NetBuilder dense_net() {
  NetBuilder net;
  int h = net.dense(net.input("x", DType::kFloat32, {kRows, 19}), 33, "relu");
  const auto vector = [&](float least) { return net.constant({33}, Packing::kRows, least); };
  h = net.node("batch_norm", {h, vector(0.5F), vector(-0.5F), vector(-0.5F), vector(0.5F)},
               {{"epsilon", 1e-3}});
  h = net.node("add", {net.node("tanh", {h}), h});
  net.output("y", net.node("softmax", {net.dense(h, 5)}));
  return net;
}

// Bytes and ids in, two outputs.
inline NetBuilder wide_net() {
  NetBuilder net;
  const int image = net.feed("image", DType::kUInt8, {kRows, 12}, 1.0 / 255);
  const int ids = net.input("ids", DType::kInt32, {kRows, 2});
  int table = net.node("embedding", {net.constant({11, 3}, Packing::kRows), ids});
  table = net.node("reshape", {table}, {{"shape", Ints{-1, 6}}});
  const int x = net.node("concatenate", {image, table}, {{"axis", std::int64_t{1}}});
  net.output("scores", net.dense(x, 20, "gelu"));
  net.output("risk", net.node("sigmoid", {net.dense(x, 1)}));
  return net;
}

// Ops that run by their own evaluation.
inline NetBuilder reduce_net() {
  NetBuilder net;
  const int x = net.input("x", DType::kFloat32, {kRows, 4, 6});
  const int mean = net.node("mean", {x}, {{"axis", Ints{1}}, {"keepdims", false}});
  const int turned = net.node("transpose", {x}, {{"perm", Ints{0, 2, 1}}});
  const int part = net.node("max", {turned}, {{"axis", Ints{2}}, {"keepdims", false}});
  net.output("y", net.node("add", {mean, part}));
  return net;
}

}  // namespace densa
