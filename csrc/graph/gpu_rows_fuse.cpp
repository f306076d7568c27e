// Steps of training for narrow networks: what happens to each row of a batch apart from the others
// becomes one op.
#include <algorithm>

#include "graph/gpu_fuse.h"
#include "graph/gpu_row_program.h"

namespace densa {
namespace {

using Kind = RowStepKind;

enum State : char { kApart, kRowValue, kBehind };  // of a value: does not depend on the region, ...

// Nodes that `may` be taken, in their order, each of which needs of the region only values of rows.
std::optional<Region> grow(const Program& program, DType dtype, const std::vector<char>& may) {
  const RowTypes types(program, dtype);
  const std::size_t n = program.nodes.size();
  Region region{std::vector<char>(n, 0), std::vector<char>(n, 0), std::vector<Meaning>(n)};
  std::vector<char> state(program.values.size(), kApart);
  for (std::size_t i = 0; i < n; ++i) {
    const ProgramNode& node = program.nodes[i];
    const auto any = [&](State wanted) {
      return std::ranges::any_of(node.in, [&](int id) { return state[id] == wanted; });
    };
    Meaning meaning = may[i] ? types.meaning(node) : Meaning{};
    bool takes = meaning.role != Role::kNone && !any(kBehind);
    if (meaning.role == Role::kAlias)
      takes = takes && (any(kRowValue) || types.width(node.in[0]) == 0);
    // Other roundings belong to the op before them, or would where store_halves leaves float32.
    if (takes && rounding_of(program, node) != NumberFormat::kFull)
      takes = any(kRowValue) || node.attrs.get_bool("apart", false);
    if (takes && (meaning.kind == Kind::kLoss || meaning.kind == Kind::kAccuracy) &&
        types.is_label(node.in[1])) {
      takes = region.label < 0 || region.label == node.in[1];
      if (takes) region.label = node.in[1];
    }
    const State out =
        takes ? sums_rows(meaning.kind) && meaning.role == Role::kStep ? kBehind : kRowValue
        : any(kRowValue) || any(kBehind) ? kBehind
                                         : kApart;
    for (int id : node.out) state[id] = out;
    region.has[i] = takes;
    region.behind[i] = !takes && out == kBehind;
    if (takes) region.meaning[i] = meaning;
  }
  // Names of values that nothing in the region reads stay what they were; arithmetic on numbers
  // that only the region reads comes in.
  std::vector<int> readers(program.values.size(), 0);
  const std::vector<int> uses = program.use_counts();
  for (std::size_t i = n; i-- > 0;) {
    const ProgramNode& node = program.nodes[i];
    if (region.has[i] && region.meaning[i].role == Role::kAlias && readers[node.out[0]] == 0) {
      region.has[i] = 0;
      region.behind[i] = 1;
    }
    if (!region.has[i] && !region.behind[i] && node.kind == NodeKind::kOp && may[i] &&
        node.in.size() == 2 && row_binary_number(node.op->name) >= 0 && readers[node.out[0]] > 0 &&
        readers[node.out[0]] == uses[node.out[0]] && is_number(types.type(node.out[0])) &&
        types.type(node.out[0]).dtype == dtype) {
      region.has[i] = 1;
      region.meaning[i] = {Role::kStep, Kind::kBinary, row_binary_number(node.op->name)};
    }
    if (region.has[i])
      for (int id : node.in) ++readers[id];
  }
  if (std::ranges::find(region.has, 1) == region.has.end()) return std::nullopt;
  return region;
}

// Puts `made` in the place of the region's nodes: behind all that it does not concern, before what
// reads its results.
void replace(Program& program, const Region& region, ProgramNode made) {
  std::vector<ProgramNode> nodes, rest;
  for (std::size_t i = 0; i < program.nodes.size(); ++i)
    if (!region.has[i])
      (region.behind[i] || program.nodes[i].kind != NodeKind::kOp ? rest : nodes)
          .push_back(std::move(program.nodes[i]));
  nodes.push_back(std::move(made));
  std::ranges::move(rest, std::back_inserter(nodes));
  program.nodes = std::move(nodes);
  for (std::size_t i = 0; i < program.nodes.size(); ++i)
    for (int id : program.nodes[i].out) program.values[id].node = static_cast<int>(i);
}

}  // namespace

void fuse_rows(Program& program, std::int64_t rows) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    std::vector<char> left_out(program.values.size(), 0);  // nodes, by their first result
    for (;;) {
      std::vector<char> may;
      for (const ProgramNode& node : program.nodes)
        may.push_back(!node.out.empty() && !left_out[node.out[0]]);
      const std::optional<Region> region = grow(program, dtype, may);
      if (!region) break;
      if (auto made = write_row_program(program, *region, dtype, rows)) {
        replace(program, *region, std::move(*made));
        continue;
      }
      // Without the largest of its products it may fit and pay; without any, there is none.
      int largest = -1;
      std::int64_t most = 0;
      for (std::size_t i = 0; i < program.nodes.size(); ++i) {
        const ProgramNode& node = program.nodes[i];
        const Kind kind = region->meaning[i].kind;
        if (!region->has[i] || region->meaning[i].role != Role::kStep ||
            (kind != Kind::kDense && kind != Kind::kBackward && kind != Kind::kWeightSum))
          continue;
        const TypeInfo& weights =
            program.values[kind == Kind::kWeightSum ? node.out[0] : node.in[1]].type;
        if (element_count(weights.shape) <= most) continue;
        most = element_count(weights.shape);
        largest = node.out[0];
      }
      if (largest >= 0) {
        left_out[largest] = 1;
        continue;
      }
      for (std::size_t i = 0; i < program.nodes.size(); ++i)
        if (region->has[i]) left_out[program.nodes[i].out[0]] = 1;
    }
  }
  program.remove_unused();
}

}  // namespace densa
