// Dense behind dense with nothing between is one dense, where that costs no more products.
#include <set>

#include "graph/freeze_parts.h"

namespace densa::freezing {
namespace {

// Those that `keep` names are left, and listed in `stay`.
bool merge_one(Program& program, const Keep& keep, std::set<std::string>* stay,
               FreezeReport* report) {
  const Readers readers(program);
  for (ProgramNode& node : program.nodes) {
    if (!is_constant_dense(program, node)) continue;
    const int maker = program.values[node.in[0]].node;
    if (maker < 0 || readers.uses[node.in[0]] != 1) continue;
    if (!is_constant_dense(program, program.nodes[maker])) continue;
    const Dims &w1 = program.values[program.nodes[maker].in[1]].type.shape,
               &w2 = program.values[node.in[1]].type.shape;
    const std::int64_t in = w1[0], middle = w1[1], out = w2[1];
    if (in * out > in * middle + middle * out) continue;
    const std::string names =
        cat(dense_name(program, program.nodes[maker]), " and ", dense_name(program, node));
    if (keep.count(names) > 0) {
      stay->insert(names);
      continue;
    }
    const ConstantDense first(program, program.nodes[maker]);
    ConstantDense second(program, node);
    const Value w = tensor_of(Dims{middle, out}, second.w);
    const auto times_w = [&](std::int64_t rows, const Numbers& x) {
      const Value y = eager("matmul", {tensor_of(Dims{rows, middle}, x), w});
      return Numbers(numbers_of(y).begin(), numbers_of(y).end());
    };
    const Numbers through = times_w(1, first.b);
    for (std::size_t j = 0; j < second.b.size(); ++j) second.b[j] += through[j];
    second.w = times_w(in, first.w);
    second.in = in;
    report->merged.push_back(
        cat(names, ": ", in, " x ", out, " for ", in, " x ", middle, " and ", middle, " x ", out));
    second.w_name = cat(first.w_name, '*', second.w_name);
    node.in[0] = program.nodes[maker].in[0];
    second.store(program, node);
    return true;
  }
  return false;
}

}  // namespace

void merge_dense(Program& program, const Keep& keep, FreezeReport* report) {
  std::set<std::string> stay;
  while (merge_one(program, keep, &stay, report)) program.remove_unused();
  for (const std::string& names : stay) report->kept.push_back(cat(names, ": ", keep.at(names)));
}

}  // namespace densa::freezing
