// The order of the passes that freeze a program.
#include "graph/freeze_parts.h"

namespace densa {

Program freeze(Program program, const FreezeOptions& options, FreezeReport* report) {
  using namespace freezing;
  if (options.dtype != DType::kFloat32 && options.dtype != DType::kFloat64)
    throw ValueError(cat("freeze: dtype is float32 or float64, got ", dtype_name(options.dtype)));
  FreezeReport unread;
  if (report == nullptr) report = &unread;
  std::erase_if(program.nodes, [](const ProgramNode& n) { return n.kind != NodeKind::kOp; });
  for (std::size_t i = 0; i < program.nodes.size(); ++i)
    for (int id : program.nodes[i].out) program.values[id].node = static_cast<int>(i);
  program.remove_unused();
  mark_roundings(program);
  widen_half(program);
  drop_roundings(program, report);
  retype(program, DType::kFloat64);
  split_dense(program);
  simplify(program);
  evaluate_constants(program);
  fuse_dense(program);
  simplify(program);
  if (options.fold) {
    Affines affines;
    find_affines(program, affines);
    fold_affines(program, affines, options.keep, report);
    lower_affines(program, affines);
  }
  if (options.prune) prune_units(program, report);
  if (options.merge) merge_dense(program, options.keep, report);
  if (options.merge && options.prune) prune_units(program, report);
  retype(program, options.dtype);
  simplify(program);
  fuse_feed(program);
  finish_constants(program);
  return program;
}

}  // namespace densa
