#include "predict/by_rows.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "ops/elementwise/elementwise.h"
#include "ops/ints.h"

namespace densa {
namespace {

// Ops, beside elementwise ones, that give a row of their result from the same row of their inputs
// as long as the first axis is that of the rows; what would mix rows does not get past their infer.
constexpr std::string_view kByRows[] = {
    "all",          "any",        "argmax",        "argmin",        "argsort",     "batch_norm",
    "broadcast_to", "cast",       "concatenate",   "dense",         "embedding",   "equal",
    "floor_divide", "greater",    "greater_equal", "isfinite",      "isinf",       "isnan",
    "less",         "less_equal", "log_softmax",   "logical_and",   "logical_not", "logical_or",
    "logical_xor",  "logsumexp",  "matmul",        "max",           "mean",        "min",
    "mod",          "arctan2",    "not_equal",     "one_hot",       "pad_slice",   "prod",
    "reshape",      "slice",      "softmax",       "stop_gradient", "sum",         "take",
    "take_along",   "transpose",  "var",           "where",
};

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Ops that stretch their inputs to one shape, aligned at the last axis.
bool stretches(std::string_view name, const Op& op) {
  return find_binary(op.name) != nullptr || name.starts_with("logical") ||
         name.starts_with("less") || name.starts_with("greater") ||
         is_one_of(name,
                   {"where", "matmul", "equal", "not_equal", "mod", "arctan2", "floor_divide"});
}

// The input that may have rows, of ops whose others are tables and parameters; else -1.
int only_batch(std::string_view name) {
  if (is_one_of(name, {"dense", "batch_norm"})) return 0;
  return name == "embedding" ? 1 : -1;
}

}  // namespace

bool has_rows(const Dims& shape) { return !shape.empty() && shape[0] == kRows; }

std::string not_by_rows(const Op& op, const Attrs& attrs, std::span<const TypeInfo> in,
                        std::span<const TypeInfo> out) {
  static constexpr char kMixes[] = "mixes the rows of a batch";
  const std::string_view name = op.name;
  if (name == "row_count") return "depends on the number of rows";
  if (find_unary(op.name) == nullptr && find_binary(op.name) == nullptr &&
      std::find(std::begin(kByRows), std::end(kByRows), name) == std::end(kByRows))
    return "does not work row by row";
  if (in.empty()) return "reads nothing";
  if (attrs.get_bool("training", false)) return "is in training mode";
  const int rank = out[0].shape.rank();
  if (name == "softmax" || name == "log_softmax" || name == "batch_norm")
    for (std::int64_t axis : attrs.get_ints("axis", {-1}))
      if (normalize_axis(axis, rank, name) == 0) return kMixes;
  bool batch = false;
  for (std::size_t k = 0; k < in.size(); ++k) {
    const Dims& shape = in[k].shape;
    for (int i = 1; i < shape.rank(); ++i)
      if (is_open(shape[i])) return "has rows in an axis that is not the first";
    if (!has_rows(shape)) continue;
    batch = true;
    if (only_batch(name) >= 0 && only_batch(name) != static_cast<int>(k)) return kMixes;
    if (stretches(name, op) && shape.rank() != rank)
      return "meets rows with an axis that is not the rows";
  }
  if (name == "matmul" && attrs.get_bool("transpose_a", false) && in[0].shape.rank() < 3)
    return kMixes;
  const auto starts_with = [&](const char* list, std::int64_t number) {
    const std::span<const std::int64_t> given = ints_of(attrs, list);
    return given.empty() || given[0] == number;  // infer wants one for each axis
  };
  if (name == "pad_slice" && batch && !(starts_with("begin", 0) && starts_with("step", 1)))
    return "moves the rows of a batch";
  for (const TypeInfo& y : out)
    if (batch && !has_rows(y.shape)) return kMixes;
  return {};
}

}  // namespace densa
