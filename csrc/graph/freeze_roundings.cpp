// Roundings to 16 bits: those that the network asks for stay, those of a mixed policy are left out.
#include <algorithm>
#include <map>

#include "graph/freeze_parts.h"
#include "graph/rewrite.h"

namespace densa::freezing {

// Ops read numbers of 16 bits behind a cast to float32, and a cast behind them rounds the result.
void mark_roundings(Program& program) {
  std::vector<char> asked(program.values.size());  // of 16 bits, or cast from such a value
  const auto half = [&](int id) { return is_half(program.values[id].type.dtype); };
  for (ProgramNode& node : program.nodes) {
    if (node.kind != NodeKind::kOp || node.out.empty() || node.in.empty()) continue;
    const int x = node.in[0], y = node.out[0];
    if (!is(node, "cast")) {
      asked[y] = static_cast<char>(half(y) && asked[x] != 0);
      continue;
    }
    if (!half(y)) {
      asked[y] = static_cast<char>(half(x) && asked[x] != 0);
      continue;
    }
    const int maker = program.values[x].node;
    bool own = node.attrs.get_bool("asked", false);
    if (maker >= 0 && !is(program.nodes[maker], "cast"))
      own |= std::any_of(program.nodes[maker].in.begin(), program.nodes[maker].in.end(),
                         [&](int id) { return asked[id] != 0; });
    asked[y] = static_cast<char>(own);
    node.attrs.set("asked", own);
  }
}

void drop_roundings(Program& program, FreezeReport* report) {
  std::map<std::string, int> dropped;
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (!is(node, "round_float16") && !is(node, "round_bfloat16")) return false;
    if (node.attrs.get_bool("asked", false)) {
      rewriter.replace(node.out[0], program.add_op(*node.op, node.in, {})[0]);
      return true;
    }
    ++dropped[std::string(node.op->name).substr(sizeof("round_") - 1)];
    rewriter.replace(node.out[0], node.in[0]);
    return true;
  });
  for (const auto& [dtype, count] : dropped)
    report->removed.push_back(
        cat(count, count == 1 ? " rounding" : " roundings", " to ", dtype, ": computed in more"));
}

}  // namespace densa::freezing
