#include "graph/gpu_fuse.h"

#include <string>

#include "graph/rewrite.h"
#include "ops/elementwise/elementwise.h"

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

}  // namespace

void fuse_activations(Program& program) {
  const std::vector<int> uses = program.use_counts();
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    const UnaryKernel* kernel = activation_of(node);
    if (kernel == nullptr) return false;
    const int z = node.in[0], maker = program.values[z].node;
    if (maker < 0 || z >= static_cast<int>(uses.size()) || uses[z] != 1) return false;
    const ProgramNode dense = program.nodes[maker];
    if (!is(dense, "dense") || dense.attrs.has("activation")) return false;
    Attrs attrs = node.attrs;
    attrs.set("activation", std::string(kernel->name));
    rewriter.replace(node.out[0], program.add_op(*dense.op, dense.in, attrs)[0]);
    return true;
  });
}

void fuse_for_gpu(Program& program) { fuse_activations(program); }

}  // namespace densa
