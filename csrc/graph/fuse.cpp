// Passes that join neighbours into ops which only plans have.
#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "graph/internal_ops.h"
#include "graph/rewrite.h"
#include "ops/elementwise/elementwise.h"

namespace densa {
namespace {

bool is(const ProgramNode& node, std::string_view op) {
  return node.kind == NodeKind::kOp && op == node.op->name;
}

// Pairs have stages for rows of numbers alone; other shapes run op by op.
bool rows_of_numbers(const TypeInfo& type) {
  const Dims& shape = type.shape;
  return is_floating(type.dtype) && shape.rank() >= 2 &&
         std::ranges::none_of(shape, [](std::int64_t d) { return d == 0; }) &&
         std::ranges::any_of(shape, [](std::int64_t d) { return d != 1; });
}

// The attributes of an activation without the name of the activation itself.
Attrs without(const Attrs& attrs, std::string_view name) {
  Attrs rest;
  for (const auto& [key, value] : attrs.items())
    if (key != name) rest.set(key, value);
  return rest;
}

bool worth_pairing(std::string_view name) {
  const UnaryKernel* kernel = find_unary(std::string(name).c_str());
  // A slope that only compares and selects costs less than storing it.
  static constexpr std::string_view kCheap[] = {
      "negative", "abs", "square", "relu", "relu6", "leaky_relu", "hard_sigmoid", "hard_silu"};
  for (std::string_view cheap : kCheap)
    if (name == cheap) return false;
  return kernel != nullptr && kernel->saved == Saved::kInput;
}

void pair_activations(Program& program) {
  // Which inputs' slopes are wanted: "fn attributes value" -> seen.
  std::map<std::string, bool> wanted;
  for (const ProgramNode& node : program.nodes)
    if (is(node, "unary_slope")) {
      const std::string fn = node.attrs.get_string("fn", "");
      if (worth_pairing(fn))
        wanted[cat(fn, '|', without(node.attrs, "fn").text(), '|', node.in[0])] = true;
    }
  std::map<std::string, int> slopes;  // the same key -> the value that holds f'(z)
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (node.kind != NodeKind::kOp) return false;
    if (node.in.size() == 1 && find_unary(node.op->name) != nullptr &&
        rows_of_numbers(program.values[node.in[0]].type)) {
      const std::string key = cat(node.op->name, '|', node.attrs.text(), '|', node.in[0]);
      if (!wanted.count(key)) return false;
      Attrs attrs = node.attrs;
      attrs.set("fn", std::string(node.op->name));
      const std::vector<int> pair = program.add_op(unary_pair_op(), node.in, attrs);
      rewriter.replace(node.out[0], pair[0]);
      slopes[key] = pair[1];
      return true;
    }
    if (is(node, "unary_slope")) {
      const auto found = slopes.find(cat(node.attrs.get_string("fn", ""), '|',
                                         without(node.attrs, "fn").text(), '|', node.in[0]));
      if (found == slopes.end()) return false;
      rewriter.replace(node.out[0], program.add_op("multiply", {node.in[1], found->second}));
      return true;
    }
    return false;
  });
}

void pair_losses(Program& program) {
  // Moves the gradient op's work to the place of the loss: its dy must be known there, which it is
  // when it does not depend on the loss itself.
  for (const char* name : {"sparse_softmax_cross_entropy", "softmax_cross_entropy"}) {
    const std::string grad_name = cat(name, "_grad");
    for (std::size_t g = 0; g < program.nodes.size(); ++g) {
      if (!is(program.nodes[g], grad_name)) continue;
      const ProgramNode grad = program.nodes[g];
      if (!rows_of_numbers(program.values[grad.in[0]].type)) continue;
      for (std::size_t l = 0; l < g; ++l) {
        const ProgramNode& loss = program.nodes[l];
        if (!is(loss, name) || loss.in[0] != grad.in[0] || loss.in[1] != grad.in[1] ||
            !(loss.attrs == grad.attrs))
          continue;
        const int loss_value = loss.out[0];
        // Everything between that dy needs must not need the loss. Walk back from dy.
        std::vector<char> reached(program.values.size(), 0);
        reached[grad.in[2]] = 1;
        for (std::size_t i = g; i-- > 0;) {
          bool any = false;
          for (int id : program.nodes[i].out) any |= reached[id] != 0;
          if (any)
            for (int id : program.nodes[i].in) reached[id] = 1;
        }
        if (reached[loss_value]) break;
        // Order: what dy needs, then the pair, then the rest.
        std::vector<ProgramNode> nodes(program.nodes.begin(),
                                       program.nodes.begin() + static_cast<std::ptrdiff_t>(l));
        std::vector<ProgramNode> rest;
        for (std::size_t i = l + 1; i < program.nodes.size(); ++i) {
          if (i == g) continue;
          bool needed = false;
          for (int id : program.nodes[i].out) needed |= reached[id] != 0;
          (needed ? nodes : rest).push_back(program.nodes[i]);
        }
        ProgramNode pair{.op = &loss_pair_op(),
                         .in = {grad.in[0], grad.in[1], grad.in[2]},
                         .out = {loss_value, grad.out[0]},
                         .attrs = grad.attrs,
                         .variable = nullptr};
        nodes.push_back(std::move(pair));
        nodes.insert(nodes.end(), rest.begin(), rest.end());
        program.nodes = std::move(nodes);
        for (std::size_t i = 0; i < program.nodes.size(); ++i)
          for (int id : program.nodes[i].out) program.values[id].node = static_cast<int>(i);
        break;
      }
    }
  }
}

}  // namespace

void fuse_pairs(Program& program) {
  pair_activations(program);
  pair_losses(program);
}

void fuse_feed(Program& program) {
  // One plain feed behind every input; then whatever follows it and can be part of the gathering.
  std::map<int, int> feeds;  // input value -> feed value
  Rewriter rewriter(program);
  for (int input : program.inputs) {
    feeds[input] =
        program.add_op(feed_op(), std::array<int, 1>{input},
                       {{"dtype", std::string(dtype_name(program.values[input].type.dtype))}})[0];
    rewriter.replace(input, feeds[input]);
  }
  const auto feed_of = [&](int value) -> const ProgramNode* {
    const int node = program.values[value].node;
    return node >= 0 && program.nodes[node].op == &feed_op() ? &program.nodes[node] : nullptr;
  };
  rewriter.run([&](const ProgramNode& node) {
    if (node.kind != NodeKind::kOp || node.in.empty()) return false;
    int from = node.in[0];
    if (node.op == &feed_op()) {  // of a program that has been here before
      rewriter.replace(
          node.out[0],
          program.add_op(feed_op(), std::array<int, 1>{feed_of(from)->in[0]}, node.attrs)[0]);
      return true;
    }
    const ProgramNode* found = feed_of(from);
    if (found == nullptr && node.in.size() == 2 && (is(node, "multiply") || is(node, "add"))) {
      from = node.in[1];
      found = feed_of(from);
    }
    if (found == nullptr) return false;
    const int input = found->in[0];
    if (is(node, "row_count")) {  // known without gathering anything
      rewriter.replace(node.out[0],
                       program.add_op(*node.op, std::array<int, 1>{input}, node.attrs)[0]);
      return true;
    }
    Attrs attrs = found->attrs;
    const TypeInfo type = program.values[from].type;
    const bool plain = !attrs.has("scale") && !attrs.has("offset");
    double number = 0;
    if (is(node, "cast") && plain && is_floating(program.values[node.out[0]].type.dtype)) {
      // A float64 array cast to float32 and back would lose digits: only the first cast is taken.
      if (program.values[input].type.dtype != type.dtype) return false;
      attrs.set("dtype", node.attrs.get_string("dtype", "float32"));
    } else if (is(node, "reshape")) {
      const Dims& shape = program.values[node.out[0]].type.shape;
      if (shape.empty() || shape[0] != kRows) return false;
      attrs.set("shape", Ints(shape.begin(), shape.end()));
    } else if (is_floating(type.dtype) && is(node, "multiply") && plain &&
               program.is_scalar_constant(from == node.in[0] ? node.in[1] : node.in[0], &number)) {
      attrs.set("scale", number);
    } else if (is_floating(type.dtype) && is(node, "add") && !attrs.has("offset") &&
               program.is_scalar_constant(from == node.in[0] ? node.in[1] : node.in[0], &number)) {
      attrs.set("offset", number);
    } else {
      return false;
    }
    rewriter.replace(node.out[0], program.add_op(feed_op(), std::array<int, 1>{input}, attrs)[0]);
    return true;
  });
}

}  // namespace densa
