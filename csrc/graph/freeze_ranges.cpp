// Between which bounds each column of each value lies, whatever the batch.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/freeze_parts.h"
#include "ops/elementwise/elementwise.h"

namespace densa::freezing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Rounding of bounds that are not equal: far more than their sums can be off.
constexpr double kSlack = 1e-9;

std::size_t columns_of(const Dims& shape) {
  return has_rows(shape) && shape.rank() > 1 ? static_cast<std::size_t>(shape.back()) : 0;
}

Range all(std::size_t columns, double lo, double hi) {
  return {Numbers(columns, lo), Numbers(columns, hi)};
}

Range of_dtype(DType dtype, std::size_t columns) {
  if (dtype == DType::kBool) return all(columns, 0, 1);
  if (is_floating(dtype)) return all(columns, -kInf, kInf);
  return visit_any_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    return all(columns, static_cast<double>(std::numeric_limits<T>::lowest()),
               static_cast<double>(std::numeric_limits<T>::max()));
  });
}

Range of_dense(const Program& program, const ProgramNode& node, const Range& x) {
  const ConstantDense dense(program, node);
  const auto in = static_cast<std::size_t>(dense.in), out = static_cast<std::size_t>(dense.out);
  Range y{dense.b, dense.b};
  Numbers size(out);
  for (std::size_t j = 0; j < out; ++j) size[j] = std::abs(dense.b[j]);
  for (std::size_t i = 0; i < in; ++i)
    for (std::size_t j = 0; j < out; ++j) {
      const double w = dense.w[i * out + j];
      if (w == 0) continue;
      const double lo = w > 0 ? x.lo[i] : x.hi[i], hi = w > 0 ? x.hi[i] : x.lo[i];
      y.lo[j] += w * lo, y.hi[j] += w * hi;
      size[j] += std::abs(w) * std::max(std::abs(lo), std::abs(hi));
    }
  for (std::size_t j = 0; j < out; ++j)
    if (y.lo[j] != y.hi[j]) y.lo[j] -= kSlack * size[j], y.hi[j] += kSlack * size[j];
  return y;
}

struct Rising {
  const char* name;
  double lo, hi;  // its values lie between these
};
// Formulas that never fall.
constexpr Rising kRising[] = {
    {"relu", 0, kInf},      {"relu6", 0, 6},        {"selu", -1.7581, kInf},
    {"sigmoid", 0, 1},      {"hard_sigmoid", 0, 1}, {"tanh", -1, 1},
    {"softplus", 0, kInf},  {"softsign", -1, 1},    {"log_sigmoid", -kInf, 0},
    {"exp", 0, kInf},       {"expm1", -1, kInf},    {"erf", -1, 1},
    {"sign", -1, 1},        {"floor", -kInf, kInf}, {"ceil", -kInf, kInf},
    {"round", -kInf, kInf},
};
// Others, between these.
constexpr Rising kOther[] = {
    {"abs", 0, kInf},
    {"square", 0, kInf},
    {"sqrt", 0, kInf},
    {"rsqrt", 0, kInf},
    {"sin", -1, 1},
    {"cos", -1, 1},
    {"gelu", -0.18, kInf},
    {"gelu_tanh", -0.18, kInf},
    {"silu", -0.28, kInf},
    {"mish", -0.31, kInf},
    {"hard_silu", -0.38, kInf},
};

Range of_unary(const ProgramNode& node, const Range& z) {
  const std::string_view name = node.op->name;
  const auto values = [&](const Numbers& numbers) {
    const Value y = eager(
        name, {tensor_of(Dims{static_cast<std::int64_t>(numbers.size())}, numbers)}, node.attrs);
    return Numbers(numbers_of(y).begin(), numbers_of(y).end());
  };
  const auto in_table = [&](const auto& table) -> const Rising* {
    for (const Rising& row : table)
      if (name == row.name) return &row;
    return nullptr;
  };
  const UnaryKernel* kernel = find_unary(node.op->name);
  Rising leaky{"", -kInf, kInf};
  const Rising* rising = in_table(kRising);
  if (kernel->attribute != nullptr && node.attrs.get_double(kernel->attribute, kernel->missing) > 0)
    rising = &leaky;                                // leaky_relu, elu, celu
  if (name.starts_with("round_")) rising = &leaky;  // to 16 bits
  const Rising* bounds = rising != nullptr ? rising : in_table(kOther);
  Range y = all(z.lo.size(), bounds != nullptr ? bounds->lo : -kInf,
                bounds != nullptr ? bounds->hi : kInf);
  const Numbers lo = values(z.lo), hi = values(z.hi);
  for (std::size_t j = 0; j < lo.size(); ++j) {
    if (z.lo[j] == z.hi[j]) {
      y.lo[j] = lo[j], y.hi[j] = hi[j];
    } else if (rising != nullptr) {
      // A NaN, at an infinite end, says nothing. Zero is exact: below it, a relu gives no more.
      if (lo[j] == lo[j]) y.lo[j] = std::max(y.lo[j], lo[j] - kSlack * std::abs(lo[j]));
      if (hi[j] == hi[j]) y.hi[j] = std::min(y.hi[j], hi[j] + kSlack * std::abs(hi[j]));
    }
  }
  return y;
}

// x op k or k op x, which rises or falls with x, for a constant k: one number or one a column.
Range of_binary(const Program& program, const ProgramNode& node, int side, const Range& x) {
  const Value k = tensor_of(program, node.in[1 - side]);
  const auto values = [&](const Numbers& numbers) {
    const Value v = tensor_of(Dims{static_cast<std::int64_t>(numbers.size())}, numbers);
    const Value y = eager(node.op->name, {side == 0 ? v : k, side == 0 ? k : v});
    return Numbers(numbers_of(y).begin(), numbers_of(y).end());
  };
  const Numbers a = values(x.lo), b = values(x.hi);
  Range y = all(a.size(), -kInf, kInf);
  for (std::size_t j = 0; j < a.size(); ++j) {
    if (a[j] != a[j] || b[j] != b[j]) continue;
    const double slack = a[j] == b[j] ? 0 : kSlack * std::max(std::abs(a[j]), std::abs(b[j]));
    y.lo[j] = std::min(a[j], b[j]) - slack, y.hi[j] = std::max(a[j], b[j]) + slack;
  }
  return y;
}

// Which input of an addition, subtraction or product has columns of which bounds are wanted; -1:
// neither, or the other is no constant for columns.
int varying_side(const Program& program, const ProgramNode& node) {
  if (!is(node, "add") && !is(node, "subtract") && !is(node, "multiply")) return -1;
  for (int side = 0; side < 2; ++side) {
    const TypeInfo &x = program.values[node.in[side]].type,
                   &k = program.values[node.in[1 - side]].type;
    if (is_constant(program, node.in[1 - side]) && is_floating(x.dtype) && k.shape.rank() < 2 &&
        x.shape == program.values[node.out[0]].type.shape)
      return side;
  }
  return -1;
}

Range of_moved(const Program& program, const ProgramNode& node,
               const std::vector<std::int64_t>& from, const std::vector<Range>& ranges) {
  // The bounds of each element of the inputs' rows, side by side.
  Range before;
  for (int id : node.in) {
    const std::size_t columns = ranges[id].lo.size();
    const auto size = static_cast<std::size_t>(row_size(program.values[id].type.shape));
    for (std::size_t i = 0; i < size; ++i) {
      before.lo.push_back(columns > 0 ? ranges[id].lo[i % columns] : -kInf);
      before.hi.push_back(columns > 0 ? ranges[id].hi[i % columns] : kInf);
    }
  }
  const std::size_t columns = columns_of(program.values[node.out[0]].type.shape);
  Range y = all(columns, kInf, -kInf);
  for (std::size_t k = 0; columns > 0 && k < from.size(); ++k) {
    const auto i = static_cast<std::size_t>(from[k]);
    y.lo[k % columns] = std::min(y.lo[k % columns], before.lo[i]);
    y.hi[k % columns] = std::max(y.hi[k % columns], before.hi[i]);
  }
  return y;
}

}  // namespace

std::vector<Range> find_ranges(const Program& program) {
  std::vector<Range> ranges(program.values.size());
  for (std::size_t id = 0; id < ranges.size(); ++id) {
    const TypeInfo& type = program.values[id].type;
    ranges[id] = of_dtype(type.dtype, columns_of(type.shape));
  }
  for (const ProgramNode& node : program.nodes) {
    if (node.out.size() != 1 || node.in.empty() || ranges[node.out[0]].lo.empty()) continue;
    const Range& x = ranges[node.in[0]];
    Range& y = ranges[node.out[0]];
    if (is_constant_dense(program, node)) {
      y = of_dense(program, node, x);
    } else if (node.in.size() == 1 && find_unary(node.op->name) != nullptr && !x.lo.empty()) {
      y = of_unary(node, x);
    } else if (const int side = varying_side(program, node); side >= 0) {
      y = of_binary(program, node, side, ranges[node.in[side]]);
    } else if (is(node, "cast") && is_floating(program.values[node.out[0]].type.dtype)) {
      y = x;
    } else if (is(node, "softmax")) {
      y = all(y.lo.size(), 0, 1);
    } else if (const auto from = moved_elements(program, node)) {
      y = of_moved(program, node, *from, ranges);
    }
  }
  return ranges;
}

}  // namespace densa::freezing
