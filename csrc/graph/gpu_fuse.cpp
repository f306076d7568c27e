#include "graph/gpu_fuse.h"

#include <algorithm>
#include <map>
#include <string>

#include "graph/rewrite.h"
#include "ops/batch_norm/axes.h"
#include "ops/elementwise/elementwise.h"
#include "ops/matmul/precision.h"
#include "ops/network/network.h"
#include "ops/slope_sum/slope_sum.h"

namespace densa {
namespace {

bool is(const ProgramNode& node, std::string_view op) {
  return node.kind == NodeKind::kOp && op == node.op->name;
}

// The activation that a node is, or null.
const UnaryKernel* activation_of(const ProgramNode& node) {
  if (node.kind != NodeKind::kOp || node.in.size() != 1 || node.out.size() != 1) return nullptr;
  return find_unary(node.op->name);
}

// Roundings to 16 bits are unary ops too, but how the ops before them write (store_halves).
bool rounds(const ProgramNode& node) {
  return is(node, "round_bfloat16") || is(node, "round_float16");
}

// ---- chains of narrow layers ----

// A chain that grows node by node.
struct Chain {
  int x = -1;
  std::vector<int> inputs;  // beside x
  std::vector<NetworkLayer> layers;
  int nodes = 0, products = 0;
};

bool narrow(const Program& program, int value) {
  const TypeInfo& type = program.values[value].type;
  return is_floating(type.dtype) && type.shape.rank() == 2 && type.shape[0] == kRows &&
         type.shape[1] >= 1 && type.shape[1] <= kWidestLayer;
}

// The chain with the node behind it, or nothing if the node cannot be a part of one.
bool extend(const Program& program, const ProgramNode& node, Chain& chain) {
  if (!narrow(program, node.in[0]) || node.out.size() != 1 || !narrow(program, node.out[0]))
    return false;
  std::vector<NetworkLayer>& layers = chain.layers;
  if (is(node, "dense")) {
    if (is_open(program.values[node.in[1]].type.shape[0])) return false;
    NetworkLayer layer;
    layer.dense = true;
    layer.bias = node.in.size() > 2;
    layer.activation = node.attrs.get_string("activation", "");
    if (!layer.activation.empty()) {
      const UnaryKernel* kernel = find_unary(layer.activation.c_str());
      if (kernel->attribute != nullptr)
        layer.parameter = node.attrs.get_double(kernel->attribute, kernel->missing);
    }
    if (layers.size() == kMostLayers) return false;
    layers.push_back(std::move(layer));
    ++chain.products;
  } else if (is(node, "batch_norm")) {
    if (node.attrs.get_bool("training", false) || channel_axes(node.attrs, 2) != Ints{1})
      return false;
    if (layers.empty() || layers.back().norm || !layers.back().activation.empty()) {
      if (layers.size() == kMostLayers) return false;
      layers.emplace_back();
    }
    layers.back().norm = true;
    layers.back().epsilon = node.attrs.get_double("epsilon", 1e-3);
  } else if (const UnaryKernel* kernel = activation_of(node)) {
    if (layers.empty() || !layers.back().activation.empty()) {
      if (layers.size() == kMostLayers) return false;
      layers.emplace_back();
    }
    layers.back().activation = kernel->name;
    if (kernel->attribute != nullptr)
      layers.back().parameter = node.attrs.get_double(kernel->attribute, kernel->missing);
  } else {
    return false;
  }
  chain.inputs.insert(chain.inputs.end(), node.in.begin() + 1, node.in.end());
  ++chain.nodes;
  return true;
}

}  // namespace

void fuse_activations(Program& program) {
  const std::vector<int> uses = program.use_counts();
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    const UnaryKernel* kernel = activation_of(node);
    if (kernel == nullptr || rounds(node)) return false;
    const int z = node.in[0], maker = program.values[z].node;
    if (maker < 0 || z >= static_cast<int>(uses.size()) || uses[z] != 1) return false;
    const ProgramNode dense = program.nodes[maker];
    if (!is(dense, "dense") || dense.attrs.has("activation")) return false;
    Attrs attrs = ops::precision_of(dense.attrs);
    for (const auto& [name, value] : node.attrs.items()) attrs.set(name, value);
    attrs.set("activation", std::string(kernel->name));
    rewriter.replace(node.out[0], program.add_op(*dense.op, dense.in, attrs)[0]);
    return true;
  });
}

void fuse_networks(Program& program) {
  const std::vector<int> uses = program.use_counts();
  // Chains by the value that they end in. A chain is cut where another node reads its value.
  std::map<int, Chain> chains;
  for (const ProgramNode& node : program.nodes) {
    if (node.kind != NodeKind::kOp || node.in.empty()) continue;
    Chain chain;
    chain.x = node.in[0];
    if (rounds(node) && chains.count(node.in[0]) == 0) continue;
    const auto before = chains.find(node.in[0]);
    const bool goes_on = before != chains.end() && uses[node.in[0]] == 1;
    if (goes_on) {
      Chain longer = before->second;
      if (extend(program, node, longer)) {
        chains.erase(before);
        chains[node.out[0]] = std::move(longer);
        continue;
      }
    }
    if (extend(program, node, chain)) chains[node.out[0]] = std::move(chain);
  }
  std::map<int, int> moved;  // values that another one replaces
  const auto now = [&](int value) {
    const auto found = moved.find(value);
    return found == moved.end() ? value : found->second;
  };
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (node.kind != NodeKind::kOp || node.out.size() != 1) return false;
    const auto found = chains.find(node.out[0]);
    if (found == chains.end()) return false;
    const Chain& chain = found->second;
    if (chain.nodes < 2 || chain.products < 1) return false;
    std::vector<int> in{now(chain.x)};
    for (int value : chain.inputs) in.push_back(now(value));
    const int old = node.out[0];
    moved[old] = program.add_op(network_op(), in, {{"layers", layers_text(chain.layers)}})[0];
    rewriter.replace(old, moved[old]);
    return true;
  });
}

void fuse_bias_gradients(Program& program) {
  std::map<int, int> sums;  // dz -> its sum over the rows
  for (const ProgramNode& node : program.nodes)
    if (is(node, "sum") && program.values[node.in[0]].type.shape.rank() == 2 &&
        node.attrs.get_ints("axis") == Ints{0} && !node.attrs.get_bool("keepdims", false))
      sums[node.in[0]] = node.out[0];
  std::map<int, int> made;  // the sums that a fused op gives
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (node.kind != NodeKind::kOp || node.out.size() != 1) return false;
    if (made.count(node.out[0]) != 0) return true;
    const auto sum = sums.find(node.out[0]);
    if (sum == sums.end()) return false;
    const TypeInfo type = program.values[node.out[0]].type;
    const TypeInfo sum_type = program.values[sum->second].type;
    const auto arithmetic = [](DType dtype) { return is_half(dtype) ? DType::kFloat32 : dtype; };
    if (!is_floating(type.dtype) || type.shape[1] < 2 ||
        !std::all_of(node.in.begin(), node.in.end(), [&](int id) {
          const TypeInfo& in = program.values[id].type;
          return in.shape == type.shape && arithmetic(in.dtype) == arithmetic(type.dtype);
        }))
      return false;
    if (is(node, "unary_slope")) {
      const UnaryKernel* kernel = find_unary(node.attrs.get_string("fn", "").c_str());
      if (kernel == nullptr) return false;
      if (kernel->saved != Saved::kOutput && !has_cheap_slope(kernel->name)) return false;
    } else if (!is(node, "multiply")) {
      return false;
    }
    const std::vector<int> both = program.add_op(slope_sum_op(), node.in, node.attrs);
    program.values[both[0]].type = type;
    program.values[both[1]].type = sum_type;
    rewriter.replace(node.out[0], both[0]);
    rewriter.replace(sum->second, both[1]);
    made[sum->second] = both[1];
    return true;
  });
}

void fuse_for_gpu(Program& program, bool trains, std::int64_t rows) {
  fuse_activations(program);
  if (!trains) fuse_networks(program);
  store_halves(program, rows);
  fuse_rows(program, rows);  // behind store_halves, which says where values have 16 bits
  if (trains) fuse_bias_gradients(program);
  gather_arithmetic(program);
}

}  // namespace densa
