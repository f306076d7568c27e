// The order of the passes, from a recording to what a Plan is built from.
#include <algorithm>

#include "graph/compile.h"

namespace densa {
namespace {

int output_id(const Program& program, std::string_view name) {
  for (const auto& [output, id] : program.outputs)
    if (output == name) return id;
  throw ValueError(cat("plan: the program has no output named '", name, "'"));
}

}  // namespace

Program compile_program(Program program, const std::string& loss,
                        const std::vector<std::string>& collect, const OptimizerPlan* optimizer) {
  std::erase_if(program.outputs, [&](const auto& output) {
    const bool wanted = std::find(collect.begin(), collect.end(), output.first) != collect.end();
    return !wanted && !(optimizer != nullptr && output.first == loss);
  });
  program.remove_unused();
  widen_half(program);
  split_dense(program);
  fuse_dense(program);
  simplify(program);
  if (optimizer != nullptr) {
    std::vector<int> values;
    for (const OptimizerPlan::Target& target : optimizer->targets)
      values.push_back(program.add_variable(target.variable));
    const std::vector<int> gradients = differentiate(program, output_id(program, loss), values);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i] < 0) continue;
      if (!optimizer->gradients.empty())
        program.add_assign(optimizer->gradients[i], gradients[i]);
      else
        program.nodes.push_back({.kind = NodeKind::kUpdate,
                                 .op = nullptr,
                                 .in = {gradients[i]},
                                 .out = {},
                                 .attrs = {},
                                 .variable = optimizer->targets[i].variable});
    }
    if (std::find(collect.begin(), collect.end(), loss) == collect.end())
      std::erase_if(program.outputs, [&](const auto& output) { return output.first == loss; });
    program.remove_unused();
    simplify(program);
  }
  simplify_rounding(program);
  fuse_pairs(program);
  fuse_feed(program);
  program.remove_unused();
  return program;
}

}  // namespace densa
