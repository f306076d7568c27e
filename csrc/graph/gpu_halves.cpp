// 16-bit values lie in 16 bits on a GPU. widen_half has made each a float32 value behind a
// rounding; here the value is given its 16 bits back where all its readers take them, and the op
// that makes what is rounded rounds it as it writes. Arithmetic stays float32, so no number
// changes.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "graph/gpu_fuse.h"
#include "ops/backend.h"
#include "ops/round_all/round_all.h"

namespace densa {
namespace {

constexpr std::array<DType, 2> kHalves{DType::kBFloat16, DType::kFloat16};

// The 16-bit type that a node rounds float32 numbers to; float32: it is no such node.
DType rounded_to(const Program& program, const ProgramNode& node) {
  if (node.kind == NodeKind::kOp && program.values[node.out[0]].type.dtype == DType::kFloat32)
    for (const DType half : kHalves)
      if (node.op->name == cat("round_", dtype_name(half))) return half;
  return DType::kFloat32;
}

bool has_bit(std::uint32_t mask, std::size_t i) { return i < 32 && (mask >> i & 1) != 0; }

class HalfValues {
 public:
  HalfValues(Program& program, std::int64_t rows)
      : program_(program), rows_(rows), readers_(program.values.size()) {
    for (const ProgramNode& node : program.nodes)
      for (std::size_t k = 0; k < node.in.size(); ++k) readers_[node.in[k]].emplace_back(&node, k);
    for (const auto& [name, id] : program.outputs) readers_[id].emplace_back(nullptr, 0);
  }

  void run() {
    for (const ProgramNode& node : program_.nodes)
      if (const DType half = rounded_to(program_, node); is_half(half) && fits(node.out[0]))
        set_type(node.out[0], half);
    for (ProgramNode& node : program_.nodes) write_rounded(node);
  }
  // Marks in `program`, which this one was or is, the roundings that are left.
  void mark_apart(Program& program) const {
    const std::vector<int> uses = program_.use_counts();
    for (std::size_t i = 0; i < program.nodes.size(); ++i)
      if (const ProgramNode& node = program_.nodes[i];
          node.kind == NodeKind::kOp && std::string_view(node.op->name).starts_with("round_") &&
          uses[node.out[0]] > 0)
        program.nodes[i].attrs.set("apart", true);
  }

 private:
  // Whether all readers take 16 bits.
  bool fits(int value) const {
    return std::ranges::all_of(readers_[value], [&](const auto& reader) {
      const auto& [node, operand] = reader;
      if (node == nullptr || node->kind == NodeKind::kAssign) return false;
      if (node->kind == NodeKind::kUpdate) return true;
      if (node->op->alias) return fits(node->out[0]);
      const DeviceOp* op = op_of(*node);
      return op != nullptr && has_bit(op->half_in, operand);
    });
  }

  // The evaluation of a node; null: it knows no 16 bits.
  const DeviceOp* op_of(const ProgramNode& node) const {
    const DeviceOp* op = backend().find(node.op->name);
    if (op == nullptr || op->takes_halves == nullptr) return op;
    std::vector<TypeInfo> in;
    for (int id : node.in) {
      in.push_back(program_.values[id].type);
      in.back().shape = with_rows(in.back().shape, rows_);
    }
    return op->takes_halves(in, node.attrs) ? op : nullptr;
  }

  void set_type(int value, DType half) {
    program_.values[value].type.dtype = half;
    for (const auto& [node, operand] : readers_[value])
      if (node->kind == NodeKind::kOp && node->op->alias) set_type(node->out[0], half);
  }

  // A rounding that alone reads what another op makes: that op writes 16 bits.
  void write_rounded(ProgramNode& node) {
    if (node.kind != NodeKind::kOp || node.in.size() != 1) return;
    const int from = node.in[0], to = node.out[0];
    const bool rounds = node.op->name == cat("round_", dtype_name(program_.values[to].type.dtype));
    const int maker = program_.values[from].node;
    if (!rounds || maker < 0 || readers_[from].size() != 1) return;
    ProgramNode& made_by = program_.nodes[maker];
    const auto out = std::ranges::find(made_by.out, from);
    const DeviceOp* op = made_by.op->alias ? nullptr : op_of(made_by);
    if (op == nullptr ||
        !has_bit(op->half_out, static_cast<std::size_t>(out - made_by.out.begin())))
      return;
    *out = to;
    program_.values[to].node = maker;
    node.out[0] = from;  // which nobody reads any more
    node.in[0] = to;
  }

  Program& program_;
  std::int64_t rows_;  // at most
  std::vector<std::vector<std::pair<const ProgramNode*, std::size_t>>> readers_;
};

// Roundings of variables become few launches before all others.
void round_variables(Program& program) {
  for (const DType half : kHalves) {
    const std::string op = cat("round_", dtype_name(half));
    const auto is_one = [&](const ProgramNode& node) {
      return node.kind == NodeKind::kOp && node.op->name == op &&
             program.values[node.in[0]].source == Source::kVariable &&
             program.values[node.in[0]].type.dtype == DType::kFloat32;
    };
    std::vector<ProgramNode> groups, rest;
    for (ProgramNode& node : program.nodes) {
      if (!is_one(node)) {
        rest.push_back(std::move(node));
        continue;
      }
      if (groups.empty() || groups.back().in.size() == kMostRounded)
        groups.push_back({.op = &round_all_op(),
                          .in = {},
                          .out = {},
                          .attrs = {{"format", std::string(dtype_name(half))}},
                          .variable = nullptr});
      groups.back().in.push_back(node.in[0]);
      groups.back().out.push_back(node.out[0]);
    }
    groups.insert(groups.end(), std::make_move_iterator(rest.begin()),
                  std::make_move_iterator(rest.end()));
    program.nodes = std::move(groups);
  }
  program.remove_unused();
}

}  // namespace

void store_halves(Program& program, std::int64_t rows) {
  Program stored = program;
  HalfValues halves(stored, rows);
  halves.run();
  const char* wide = std::getenv("DENSA_GPU_WIDE_VALUES");
  if (wide != nullptr && *wide != '\0') {
    halves.mark_apart(program);
    return;
  }
  halves.mark_apart(stored);
  program = std::move(stored);
  program.remove_unused();
  round_variables(program);
}

}  // namespace densa
