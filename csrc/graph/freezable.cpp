#include "graph/freezable.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/rewrite.h"
#include "ops/ints.h"
#include "ops/shape/cut.h"
#include "ops/shape/shape.h"
#include "predict/by_rows.h"
#include "tensor/tape.h"

namespace densa {
namespace {

bool is(const ProgramNode& node, std::string_view op) {
  return node.kind == NodeKind::kOp && op == node.op->name;
}

bool draws(const ProgramNode& node) {
  return node.kind == NodeKind::kOp &&
         (std::string_view(node.op->name).starts_with("random_") || is(node, "dropout"));
}

std::string layer_of(const ProgramNode& node) {
  return node.place.empty() ? "the model" : cat("layer '", node.place, "'");
}

[[noreturn]] void refuse_rows(const ProgramNode& node, const std::string& why) {
  throw ValueError(
      cat("freeze: ", layer_of(node), " uses the op ", node.op->name, ", which ", why,
          ". A frozen network predicts each row by itself, whatever other rows there are. Compute "
          "along other axes than the first and leave the first as it is; or freeze a model that "
          "ends before this step, and do the step on the predictor's results"));
}

// Neither assigns nor draws.
void check_steady(const Program& program) {
  for (const ProgramNode& node : program.nodes) {
    if (node.kind != NodeKind::kOp)
      throw ValueError(cat("freeze: ", layer_of(node), " assigns to the variable '",
                           node.variable->name(),
                           "' when it predicts; a frozen network does not change. Assign where "
                           "call's argument `training` is true, or return the value as an output"));
    if (draws(node))
      throw ValueError(cat("freeze: ", layer_of(node), " draws random numbers (", node.op->name,
                           ") when it predicts; a frozen network gives one answer. Draw where "
                           "call's argument `training` is true, or make the numbers an input"));
  }
}

}  // namespace

void check_freezable(const Program& program) {
  check_steady(program);
  const auto types = [&](const std::vector<int>& ids) {
    std::vector<TypeInfo> found;
    found.reserve(ids.size());
    for (int id : ids) found.push_back(program.values[id].type);
    return found;
  };
  for (const ProgramNode& node : program.nodes) {
    const std::vector<TypeInfo> in = types(node.in), out = types(node.out);
    const auto batch = [](const TypeInfo& type) { return has_open(type.shape); };
    // What is made of constants alone is done when freezing.
    if (std::none_of(in.begin(), in.end(), batch) && std::none_of(out.begin(), out.end(), batch))
      continue;
    if (const std::string why = not_by_rows(*node.op, node.attrs, in, out); !why.empty())
      refuse_rows(node, why);
  }
  for (const auto& [name, id] : program.outputs)
    if (const ProgramValue& value = program.values[id]; !has_rows(value.type.shape))
      throw ValueError(cat("freeze: output '", name, "' has shape ", to_string(value.type.shape),
                           ", whose first axis is not the rows of the batch. Return something "
                           "that depends on the inputs, row by row"));
}

// ---- ops that a predictor has not ---------------------------------------------------------------

namespace {

int lower_loss(Program& program, const ProgramNode& node) {
  const bool ids = is(node, "sparse_softmax_cross_entropy");
  const TypeInfo x = program.values[node.in[0]].type;
  const std::int64_t classes = x.shape.back();
  const Attrs last{{"axis", Ints{x.shape.rank() - 1}}};
  const auto number = [&](double value) { return program.add_number({x.dtype, {}}, value); };
  const int logs = program.add_op("log_softmax", {node.in[0]});
  int target = node.in[1];
  if (ids) {
    const std::string dtype(dtype_name(x.dtype));
    target = program.add_op("one_hot", {target}, {{"classes", classes}, {"dtype", dtype}});
  } else if (const double s = node.attrs.get_double("label_smoothing", 0); s != 0) {
    const int kept = program.add_op("multiply", {target, number(1 - s)});
    target = program.add_op("add", {kept, number(s / static_cast<double>(classes))});
  }
  // Where the target is zero so is the term, also for a logit of -inf.
  const int term = program.add_op("multiply", {target, logs});
  const int none = program.add_op("equal", {target, number(0)});
  const int terms = program.add_op("where", {none, number(0), term});
  const int loss = program.add_op("negative", {program.add_op("sum", {terms}, last)});
  if (!ids) return loss;
  const int some = program.add_op("not_equal", {target, number(0)});
  const int known = program.add_op("any", {some}, last);  // a class that exists
  return program.add_op("where", {known, loss, number(std::numeric_limits<double>::quiet_NaN())});
}

// A predictor's step has a limited number of operands.
constexpr std::size_t kJoined = 32;

int join(Program& program, std::span<const int> in, const Attrs& attrs) {
  if (in.size() <= kJoined) return program.add_op(find_op("concatenate"), in, attrs)[0];
  std::vector<int> groups;
  for (; !in.empty(); in = in.subspan(std::min(kJoined, in.size())))
    groups.push_back(join(program, in.first(std::min(kJoined, in.size())), attrs));
  return join(program, groups, attrs);
}

}  // namespace

void lower_for_net(Program& program) {
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (is(node, "softmax_cross_entropy") || is(node, "sparse_softmax_cross_entropy")) {
      rewriter.replace(node.out[0], lower_loss(program, node));
      return true;
    }
    if (!is(node, "concatenate") || node.in.size() <= kJoined) return false;
    rewriter.replace(node.out[0], join(program, node.in, node.attrs));
    return true;
  });
}

// ---- rows ---------------------------------------------------------------------------------------

namespace {

class RowsFreer {
 public:
  RowsFreer(Program& program, std::int64_t rows) : program_(program), rows_(rows) {}

  void run() {
    const std::vector<ProgramNode> old = std::exchange(program_.nodes, {});
    for (const ProgramValue& value : program_.values) before_.push_back(value.type);
    now_.resize(before_.size());
    for (std::size_t i = 0; i < now_.size(); ++i) now_[i] = static_cast<int>(i);
    for (int input : program_.inputs) program_.values[input].type.shape[0] = kRows;
    for (const ProgramNode& node : old) visit(node);
    for (auto& [name, id] : program_.outputs) id = now_[id];
    program_.remove_unused();
  }

 private:
  bool is_free(int value) const { return has_rows(program_.values[value].type.shape); }

  void visit(const ProgramNode& node) {
    program_.place = node.place;
    std::vector<int> in;
    for (int id : node.in) in.push_back(now_[id]);
    std::string why;
    if (std::none_of(in.begin(), in.end(), [&](int id) { return is_free(id); })) {
      add(node, in, node.attrs);  // of constants: as it was
      return;
    }
    const std::optional<Attrs> attrs = freed(node);
    if (!attrs) refuse_rows(node, "makes something else of the rows of the batch");
    if (fits(node, in, *attrs, &why)) return add(node, in, *attrs);
    // Constants that hold a row for each row of the batch, all alike.
    for (std::size_t k = 0; k < in.size(); ++k)
      if (const int one = is_free(in[k]) ? -1 : stretched(in[k]); one >= 0) in[k] = one;
    if (fits(node, in, *attrs, &why)) return add(node, in, *attrs);
    refuse_rows(node, cat("needs to know how many rows there are (", why, ")"));
  }

  // Whether the op makes of `in` what it made before, with rows.
  bool fits(const ProgramNode& node, const std::vector<int>& in, const Attrs& attrs,
            std::string* why) const {
    std::vector<TypeInfo> types;
    types.reserve(in.size());
    for (int id : in) types.push_back(program_.values[id].type);
    try {
      const std::vector<TypeInfo> made = node.op->infer(types, attrs);
      for (std::size_t i = 0; i < made.size(); ++i)
        if (!(with_rows(made[i].shape, rows_) == before_[node.out[i]].shape)) {
          *why = cat("its result has shape ", to_string(made[i].shape));
          return false;
        }
    } catch (const ValueError& error) {
      *why = error.what();
      return false;
    }
    return true;
  }

  void add(const ProgramNode& node, const std::vector<int>& in, const Attrs& attrs) {
    if (node.kind != NodeKind::kOp) {
      program_.nodes.push_back(node);
      program_.nodes.back().in = in;
      return;
    }
    const std::vector<int> out = program_.add_op(*node.op, in, attrs);
    for (std::size_t i = 0; i < out.size(); ++i) now_[node.out[i]] = out[i];
  }

  // The attributes with kRows where they tell the rows; nothing if they take a part of them.
  std::optional<Attrs> freed(const ProgramNode& node) const {
    Attrs attrs = node.attrs;
    if (node.kind != NodeKind::kOp || node.out.empty()) return attrs;
    const auto change_first = [&](const char* name, std::int64_t number) {
      Ints list = attrs.get_ints(name);
      if (!list.empty()) list[0] = number;
      attrs.set(name, list);
    };
    const Dims& shape = before_[node.out[0]].shape;
    if (is(node, "reshape") || is(node, "broadcast_to") || is(node, "pad_slice")) {
      if (shape.empty() || shape[0] != rows_) return std::nullopt;
      attrs.set("shape", Ints(shape.begin(), shape.end()));
      change_first("shape", kRows);
    } else if (is(node, "slice")) {
      const auto cut = densa::shape::cut_of(attrs, shape.rank(), "slice", true);
      const auto all = densa::shape::taken(cut, 0, rows_);
      if (all.begin != 0 || all.count != rows_ || cut.step[0] != 1) return std::nullopt;
      change_first("begin", 0);
      change_first("end", densa::shape::kToEnd);
    }
    return attrs;
  }

  // The value with any number of rows, if it is a constant of equal rows; else -1.
  int stretched(int value) {
    const Dims shape = program_.values[value].type.shape;
    if (shape.empty() || shape[0] != rows_) return -1;
    const Value known = constant(value);
    if (known == nullptr) return -1;
    const TensorPtr tensor = make_contiguous(to_device(as_tensor_ptr(known, "freeze"), kCpu));
    Dims one = shape;
    one[0] = 1;
    const std::size_t bytes = byte_count(one, item_size(tensor->type.dtype));
    const auto* data = static_cast<const std::byte*>(tensor->data());
    for (std::int64_t r = 1; r < rows_; ++r)
      if (bytes > 0 && std::memcmp(data, data + static_cast<std::size_t>(r) * bytes, bytes) != 0)
        return -1;
    const Ints begin(static_cast<std::size_t>(one.rank()), 0), step(begin.size(), 1);
    const Value row = eager_builder().apply(
        "slice", {tensor},
        {{"begin", begin}, {"end", Ints(one.begin(), one.end())}, {"step", step}});
    one[0] = kRows;
    return program_.add_op("broadcast_to", {program_.add_constant(row)},
                           {{"shape", Ints(one.begin(), one.end())}});
  }

  // The numbers of a value that does not depend on the inputs; null if it does.
  Value constant(int id) const {
    const ProgramValue& value = program_.values[id];
    if (value.source == Source::kInput) return nullptr;
    if (value.source == Source::kVariable) return value.variable->value();
    if (value.source == Source::kConstant)
      return value.constant ? value.constant : full_tensor(value.type, value.number, kCpu);
    const ProgramNode& node = program_.nodes[static_cast<std::size_t>(value.node)];
    if (draws(node) || node.op->eval == nullptr) return nullptr;
    std::vector<Value> in;
    for (int from : node.in) {
      in.push_back(constant(from));
      if (in.back() == nullptr) return nullptr;
    }
    const std::vector<Value> out = eager_builder().apply_op(*node.op, in, node.attrs);
    return out[static_cast<std::size_t>(std::find(node.out.begin(), node.out.end(), id) -
                                        node.out.begin())];
  }

  Program& program_;
  const std::int64_t rows_;
  std::vector<TypeInfo> before_;  // of the old values
  std::vector<int> now_;          // of each old value: the value that stands for it
};

}  // namespace

void free_rows(Program& program, std::int64_t rows) {
  for (int input : program.inputs) {
    const Dims& shape = program.values[input].type.shape;
    if (shape.empty() || shape[0] != rows)
      throw ValueError(cat("freeze: input '", program.values[input].name, "' has shape ",
                           to_string(shape), " but another has ", rows, " rows"));
  }
  program.remove_unused();
  check_steady(program);
  const GradMode off(false);
  RowsFreer(program, rows).run();
}

}  // namespace densa
