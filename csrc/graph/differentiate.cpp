// The gradient of a recorded loss: the ops' own gradient rules, applied backwards over symbols.
#include <array>
#include <memory>

#include "graph/program.h"

namespace densa {

std::vector<int> differentiate(Program& program, int loss, std::span<const int> wrt) {
  const TypeInfo loss_type = program.values[loss].type;
  if (!is_floating(loss_type.dtype) || !loss_type.shape.empty())
    throw ValueError(cat("gradient: the loss must be one floating number, but it has type ",
                         dtype_name(loss_type.dtype), to_string(loss_type.shape),
                         "; reduce it with ops.mean or ops.sum"));

  // A value needs a gradient if it is floating and depends on some value in `wrt`.
  const int recorded = static_cast<int>(program.nodes.size());
  std::vector<char> needs(program.values.size(), 0);
  for (int id : wrt) needs[id] = 1;
  for (int i = 0; i < recorded; ++i) {
    const ProgramNode& node = program.nodes[i];
    if (node.kind != NodeKind::kOp || node.op->grad == nullptr) continue;
    bool any = false;
    for (int id : node.in) any |= needs[id] != 0;
    if (any)
      for (int id : node.out) needs[id] |= is_floating(program.values[id].type.dtype);
  }

  Recorder recorder(program);
  std::vector<Value> gradients(program.values.size());
  if (needs[loss]) gradients[loss] = recorder.full(loss_type, 1.0);

  for (int i = recorded - 1; i >= 0; --i) {
    if (program.nodes[i].kind != NodeKind::kOp) continue;
    bool flows = false;
    for (int id : program.nodes[i].out) flows |= gradients[id] != nullptr;
    bool wanted = false;
    for (int id : program.nodes[i].in) wanted |= needs[id] != 0;
    if (!flows || !wanted) continue;

    const ProgramNode node = program.nodes[i];  // a copy: recording moves the list
    if (node.op->grad == nullptr) continue;
    std::vector<Value> in, out, dy;
    const auto wants = std::make_unique<bool[]>(node.in.size());
    for (std::size_t k = 0; k < node.in.size(); ++k) {
      in.push_back(recorder.symbol(node.in[k]));
      wants[k] = needs[node.in[k]] != 0;
    }
    for (int id : node.out) {
      out.push_back(recorder.symbol(id));
      dy.push_back(gradients[id]);
    }
    const std::vector<Value> dx = node.op->grad(
        {recorder, in, out, dy, std::span<const bool>(wants.get(), node.in.size()), node.attrs});
    for (std::size_t k = 0; k < dx.size(); ++k) {
      if (!dx[k] || !wants[k]) continue;
      Value& sum = gradients[node.in[k]];
      sum = sum ? recorder.apply("add", {sum, dx[k]}) : dx[k];
    }
  }

  std::vector<int> result;
  for (int id : wrt) result.push_back(gradients[id] ? recorder.id_of(gradients[id]) : -1);
  return result;
}

}  // namespace densa
