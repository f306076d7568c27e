// Small arithmetic at the end of a step, in one op.
#include <algorithm>
#include <map>
#include <string_view>

#include "graph/gpu_fuse.h"
#include "graph/rewrite.h"
#include "ops/arithmetic/arithmetic.h"

namespace densa {
namespace {

constexpr std::int64_t kMostElements = 1 << 16;

// Which of kArithmeticSteps a node is; -1: none.
int step_of(const ProgramNode& node) {
  if (node.kind != NodeKind::kOp || node.in.size() != 2) return -1;
  for (int i = 0; const char* name : kArithmeticSteps) {
    if (std::string_view(node.op->name) == name) return i;
    ++i;
  }
  return -1;
}

std::int64_t count_of(const TypeInfo& type) {  // 0: not known yet, or none of ours
  if (!is_floating(type.dtype) || is_half(type.dtype)) return 0;
  if (has_open(type.shape)) return 0;
  const std::int64_t count = element_count(type.shape);
  return count <= kMostElements ? count : 0;
}

bool fits(const Program& program, const ProgramNode& node) {
  const TypeInfo& out = program.values[node.out[0]].type;
  if (step_of(node) < 0 || count_of(out) == 0) return false;
  return std::ranges::all_of(node.in, [&](int id) {
    const TypeInfo& in = program.values[id].type;
    return in.dtype == out.dtype && (in.shape == out.shape || count_of(in) == 1);
  });
}

// Nodes whose results nothing but assignments and other such nodes of their size read.
std::vector<char> find_late(const Program& program) {
  std::vector<char> late(program.nodes.size(), 0);
  std::vector<char> read_early(program.values.size(), 0);
  std::vector<std::int64_t> reader(program.values.size(), 0);  // elements of late readers
  for (const auto& [name, id] : program.outputs) read_early[id] = 1;
  for (std::size_t i = program.nodes.size(); i-- > 0;) {
    const ProgramNode& node = program.nodes[i];
    if (node.kind == NodeKind::kAssign) continue;
    if (node.kind == NodeKind::kOp && fits(program, node) && !read_early[node.out[0]]) {
      const int out = node.out[0];
      const std::int64_t count = count_of(program.values[out].type);
      if (reader[out] == 0 || reader[out] == count) {
        late[i] = 1;
        for (int id : node.in) {
          if (reader[id] != 0 && reader[id] != count) read_early[id] = 1;
          reader[id] = count;
        }
        continue;
      }
    }
    for (int id : node.in) read_early[id] = 1;
  }
  return late;
}

// Nodes that hand numbers to each other.
using Run = std::vector<ProgramNode>;

std::vector<Run> runs_of(const std::vector<ProgramNode>& nodes) {
  std::vector<Run> runs;
  for (const ProgramNode& node : nodes) {
    Run joined;
    for (auto run = runs.begin(); run != runs.end();) {
      const bool feeds = std::ranges::any_of(*run, [&](const ProgramNode& one) {
        return std::ranges::find(node.in, one.out[0]) != node.in.end();
      });
      if (!feeds) {
        ++run;
        continue;
      }
      joined.insert(joined.end(), run->begin(), run->end());
      run = runs.erase(run);
    }
    joined.push_back(node);
    runs.push_back(std::move(joined));
  }
  return runs;
}

bool same_number(const Program& program, int a, int b) {
  double x = 0, y = 0;
  return program.values[a].type == program.values[b].type && program.is_scalar_constant(a, &x) &&
         program.is_scalar_constant(b, &y) && x == y;
}

// One op in the making.
struct Group {
  DType dtype = DType::kFloat32;
  std::vector<int> in, out;
  Ints code, ends, results;
};

}  // namespace

void gather_arithmetic(Program& program) {
  const std::vector<char> late = find_late(program);
  std::vector<ProgramNode> kept, ends, ours;
  for (std::size_t i = 0; i < program.nodes.size(); ++i) {
    ProgramNode& node = program.nodes[i];
    (late[i] ? ours : node.kind == NodeKind::kOp ? kept : ends).push_back(node);
  }
  if (ours.size() < 2) return;
  std::vector<char> assigned(program.values.size(), 0);
  for (const ProgramNode& node : ends)
    for (int id : node.in) assigned[id] = 1;

  std::vector<Group> groups;
  for (const Run& run : runs_of(ours)) {
    if (run.size() > kMostInRun) {  // stays as it is, behind what it reads
      kept.insert(kept.end(), run.begin(), run.end());
      continue;
    }
    const DType dtype = program.values[run[0].out[0]].type.dtype;
    const auto is_full = [&](const Group& group) {
      return group.in.size() + 2 * run.size() > kMostInputs ||
             group.code.size() / 3 + run.size() > kMostSteps ||
             group.out.size() + run.size() > kMostResults || group.ends.size() == kMostRuns;
    };
    auto group = std::ranges::find_if(
        groups, [&](const Group& one) { return one.dtype == dtype && !is_full(one); });
    if (group == groups.end()) {
      groups.emplace_back();
      group = std::prev(groups.end());
      group->dtype = dtype;
    }
    std::map<int, std::int64_t> steps;  // value -> the step that makes it
    for (const ProgramNode& node : run) {
      const auto step = static_cast<std::int64_t>(group->code.size() / 3);
      group->code.push_back(step_of(node));
      for (int id : node.in) {
        if (const auto made = steps.find(id); made != steps.end()) {
          group->code.push_back(-1 - made->second);  // numbered when the inputs are known
          continue;
        }
        auto at = std::ranges::find_if(
            group->in, [&](int known) { return known == id || same_number(program, known, id); });
        if (at == group->in.end()) at = group->in.insert(at, id);
        group->code.push_back(at - group->in.begin());
      }
      steps[node.out[0]] = step;
      if (assigned[node.out[0]]) {
        group->out.push_back(node.out[0]);
        group->results.push_back(step);
      }
    }
    group->ends.push_back(static_cast<std::int64_t>(group->code.size() / 3));
  }
  for (Group& group : groups) {
    for (std::size_t i = 0; i < group.code.size(); ++i)
      if (i % 3 != 0 && group.code[i] < 0)
        group.code[i] = static_cast<std::int64_t>(group.in.size()) - 1 - group.code[i];
    kept.push_back(
        {.op = &arithmetic_op(),
         .in = group.in,
         .out = group.out,
         .attrs = {{"code", group.code}, {"ends", group.ends}, {"results", group.results}},
         .variable = nullptr});
  }
  kept.insert(kept.end(), ends.begin(), ends.end());
  program.nodes = std::move(kept);
  for (std::size_t i = 0; i < program.nodes.size(); ++i)
    for (int id : program.nodes[i].out) program.values[id].node = static_cast<int>(i);
  program.remove_unused();
}

std::shared_ptr<Variable> assigned_in_place(const Program& program, const ProgramNode& node,
                                            int value) {
  if (node.op != &arithmetic_op()) return nullptr;
  std::shared_ptr<Variable> variable;
  for (const ProgramNode& one : program.nodes)
    if (one.kind == NodeKind::kAssign && one.in[0] == value) {
      if (variable != nullptr) return nullptr;
      variable = one.variable;
    }
  if (variable == nullptr) return nullptr;
  bool behind = false;
  const auto reads_it = [&](int id) {  // under any name that its memory has
    for (int node = program.values[id].node; node >= 0; node = program.values[id].node) {
      const ProgramNode& maker = program.nodes[node];
      if (!maker.op->alias && std::string_view(maker.op->name) != "broadcast_to") break;
      id = maker.in[0];
    }
    return program.values[id].variable == variable;
  };
  for (const ProgramNode& one : program.nodes) {
    if (one.kind == NodeKind::kUpdate && one.variable == variable) return nullptr;
    if (behind && std::ranges::any_of(one.in, reads_it)) return nullptr;
    behind = behind || &one == &node;
  }
  if (!behind) return nullptr;
  // Within the op, only the run that makes the value may read the variable.
  const Ints code = node.attrs.get_ints("code"), ends = node.attrs.get_ints("ends"),
             results = node.attrs.get_ints("results");
  const auto run_of = [&](std::int64_t step) {
    return std::ranges::upper_bound(ends, step) - ends.begin();
  };
  const auto made = std::ranges::find(node.out, value) - node.out.begin();
  const auto own = run_of(results[static_cast<std::size_t>(made)]);
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (i % 3 == 0 || code[i] >= static_cast<std::int64_t>(node.in.size())) continue;
    if (reads_it(node.in[static_cast<std::size_t>(code[i])]) &&
        run_of(static_cast<std::int64_t>(i / 3)) != own)
      return nullptr;
  }
  return variable;
}

}  // namespace densa
