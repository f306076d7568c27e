// Scalings and shifts of columns, in whatever ops they were recorded, in one form.
#include <algorithm>
#include <cmath>
#include <utility>

#include "graph/freeze_parts.h"
#include "graph/rewrite.h"
#include "ops/batch_norm/axes.h"

namespace densa::freezing {
namespace {

std::vector<TypeInfo> infer_affine(std::span<const TypeInfo> in, const Attrs&) { return {in[0]}; }
const Op kAffine{"affine", infer_affine, nullptr, nullptr};

std::string name_or(const std::string& name, std::string_view otherwise) {
  return name.empty() ? std::string(otherwise) : name;
}

// The constant, broadcast to one row of x; nothing where it does not broadcast to rows.
std::optional<Numbers> across_row(const Program& program, int constant, const TypeInfo& x) {
  const Dims& shape = program.values[constant].type.shape;
  if (shape.rank() > x.shape.rank()) return std::nullopt;
  if (shape.rank() == x.shape.rank() && !shape.empty() && shape[0] != 1) return std::nullopt;
  const Dims row = with_rows(x.shape, 1);
  const Value all = eager("broadcast_to", {tensor_of(program, constant)},
                          {{"shape", Ints(row.begin(), row.end())}});
  const Value plain = make_contiguous(as_tensor_ptr(all, "freeze"));
  return Numbers(numbers_of(plain).begin(), numbers_of(plain).end());
}

// A number for each channel of x, for each element of a row.
Numbers across_channels(const Program& program, int constant, const TypeInfo& x, const Ints& axes) {
  Ints shape(static_cast<std::size_t>(x.shape.rank()), 1);
  for (std::int64_t axis : axes)
    shape[static_cast<std::size_t>(axis)] = x.shape[static_cast<int>(axis)];
  const Dims row = with_rows(x.shape, 1);
  const Value spread = eager("reshape", {tensor_of(program, constant)}, {{"shape", shape}});
  const Value all = eager("broadcast_to", {spread}, {{"shape", Ints(row.begin(), row.end())}});
  const Value plain = make_contiguous(as_tensor_ptr(all, "freeze"));
  return {numbers_of(plain).begin(), numbers_of(plain).end()};
}

std::optional<Affine> of_batch_norm(const Program& program, const ProgramNode& node) {
  if (!is(node, "batch_norm") || node.attrs.get_bool("training", false)) return std::nullopt;
  for (std::size_t k = 1; k < node.in.size(); ++k)
    if (!is_constant(program, node.in[k])) return std::nullopt;
  const TypeInfo& x = program.values[node.in[0]].type;
  const Ints axes = channel_axes(node.attrs, x.shape.rank());
  const auto across = [&](int k) { return across_channels(program, node.in[k], x, axes); };
  const Numbers gamma = across(1), beta = across(2), mean = across(3), variance = across(4);
  const double epsilon = node.attrs.get_double("epsilon", 1e-3);
  Affine a = Affine::identity(row_size(x.shape));
  for (std::size_t i = 0; i < a.s.size(); ++i) {
    a.c[i] = mean[i];
    a.s[i] = gamma[i] / std::sqrt(variance[i] + epsilon);
    a.t[i] = beta[i];
    a.unit[i] = std::hypot(gamma[i], beta[i]);
  }
  a.name = name_or(program.values[node.in[3]].name, "batch_norm");
  return a;
}

// x op k or k op x for a constant k.
std::optional<Affine> of_arithmetic(const Program& program, const ProgramNode& node, int side) {
  const TypeInfo& x = program.values[node.in[side]].type;
  if (node.in.size() != 2 || !(program.values[node.out[0]].type == x)) return std::nullopt;
  const int constant = node.in[1 - side];
  if (!is_constant(program, constant) || !is_floating(x.dtype)) return std::nullopt;
  const bool add = is(node, "add"), subtract = is(node, "subtract");
  const bool multiply = is(node, "multiply"), divide = is(node, "divide") && side == 0;
  if (!add && !subtract && !multiply && !divide) return std::nullopt;
  const auto k = across_row(program, constant, x);
  if (!k) return std::nullopt;
  Affine a = Affine::identity(row_size(x.shape));
  for (std::size_t i = 0; i < a.s.size(); ++i) {
    if (multiply) a.s[i] = (*k)[i];
    if (divide) a.s[i] = 1 / (*k)[i];
    if (add) a.c[i] = -(*k)[i];
    if (subtract && side == 0) a.c[i] = (*k)[i];
    if (subtract && side == 1) a.s[i] = -1, a.t[i] = (*k)[i];
  }
  double number = 0;
  a.name = program.is_scalar_constant(constant, &number)
               ? cat(node.op->name, ' ', number)
               : cat(node.op->name, ' ', name_or(program.values[constant].name, "a constant"));
  return a;
}

std::optional<Affine> affine_of(const Program& program, const ProgramNode& node, int* x) {
  if (node.kind != NodeKind::kOp || node.in.empty()) return std::nullopt;
  for (int side = 0; side < 2 && side < static_cast<int>(node.in.size()); ++side) {
    if (is_constant(program, node.in[side]) || !has_rows(program.values[node.in[side]].type.shape))
      continue;
    std::optional<Affine> a;
    if (is(node, "negative") && is_floating(program.values[node.in[0]].type.dtype)) {
      a = Affine::identity(row_size(program.values[node.in[0]].type.shape));
      std::fill(a->s.begin(), a->s.end(), -1.0);
      a->name = "negative";
    } else {
      a = node.in.size() == 5 ? of_batch_norm(program, node) : of_arithmetic(program, node, side);
    }
    const auto finite = [](const Numbers& v) {
      return std::all_of(v.begin(), v.end(), [](double number) { return std::isfinite(number); });
    };
    if (a && finite(a->c) && finite(a->s) && finite(a->t)) {
      *x = node.in[side];
      return a;
    }
    if (node.in.size() == 5) break;
  }
  return std::nullopt;
}

bool all_equal(std::span<const double> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [&](double n) { return n == numbers[0]; });
}

// The numbers of a row as a constant that broadcasts: one number, the last axis, or all.
int compact(Program& program, const Dims& x, const Numbers& numbers) {
  if (!numbers.empty() && all_equal(numbers))
    return program.add_number({DType::kFloat64, {}}, numbers[0]);
  Dims shape;
  const auto size = static_cast<std::int64_t>(numbers.size());
  const std::int64_t last = x.rank() > 1 ? x.back() : size;
  bool repeats = true;
  for (std::int64_t i = last; i < size; ++i) repeats &= numbers[i] == numbers[i - last];
  if (repeats)
    shape.push_back(last);
  else
    for (int axis = 1; axis < x.rank(); ++axis) shape.push_back(x[axis]);
  return program.add_constant(
      tensor_of(shape, std::span(numbers).first(static_cast<std::size_t>(element_count(shape)))));
}

bool all_are(const Numbers& numbers, double number) {
  return std::all_of(numbers.begin(), numbers.end(), [&](double n) { return n == number; });
}

// What is added before the scale and after it: all of it after, unless that costs digits.
std::pair<Numbers, Numbers> shifts_of(const Affine& a) {
  Numbers before = a.c, after = a.t;
  for (double& number : before) number = -number;
  if (!a.is_shift() && !loses_digits(a, Numbers(a.s.size(), 1.0)))
    for (std::size_t i = 0; i < before.size(); ++i) {
      after[i] += before[i] * a.s[i];
      before[i] = 0;
    }
  return {before, after};
}

}  // namespace

const Op& affine_op() { return kAffine; }

Affine Affine::identity(std::int64_t size) {
  const auto n = static_cast<std::size_t>(size);
  return {Numbers(n, 0.0), Numbers(n, 1.0), Numbers(n, 0.0), Numbers(n, 1.0), ""};
}

bool Affine::is_shift() const { return all_are(s, 1) && all_are(t, 0); }
bool Affine::is_identity() const { return is_shift() && all_are(c, 0); }

// The error of a sum is some 2^-24 of what is added up: beside that of x * s + t itself, here
// sqrt(lost / kept) times it. Of 3000 random networks (tests/predict) the error became more than
// twice that of the recording, plus 1e-6, in 18 with a limit of 8, in 1 with 2.
bool loses_digits(const Affine& affine, std::span<const double> weight_squares) {
  constexpr double kMost = 2;
  double lost = 0, kept = 0;
  for (std::size_t i = 0; i < affine.s.size(); ++i) {
    const double shift = affine.c[i] * affine.s[i];
    lost += shift * shift * weight_squares[i];
    kept += affine.unit[i] * affine.unit[i] * weight_squares[i];
  }
  return lost > kMost * kMost * kept;
}

void find_affines(Program& program, Affines& affines) {
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    int x = -1;
    auto a = affine_of(program, node, &x);
    if (!a) return false;
    affines.push_back(std::move(*a));
    const Attrs attrs{{"id", static_cast<std::int64_t>(affines.size()) - 1}};
    rewriter.replace(node.out[0], program.add_op(kAffine, std::span(&x, 1), attrs)[0]);
    return true;
  });
}

std::string left_as(const Affine& affine) {
  const auto [before, after] = shifts_of(affine);
  const bool first = !all_are(before, 0), scale = !all_are(affine.s, 1), last = !all_are(after, 0);
  if (first && scale) return last ? "a shift, a scale and a shift" : "a shift and a scale";
  if (scale) return last ? "a scale and a shift" : "a scale";
  return "a shift";
}

void lower_affines(Program& program, const Affines& affines) {
  Rewriter rewriter(program);
  rewriter.run([&](const ProgramNode& node) {
    if (node.op != &kAffine) return false;
    const Affine& a = affines[static_cast<std::size_t>(node.attrs.get_int("id", 0))];
    const Dims shape = program.values[node.in[0]].type.shape;
    int y = node.in[0];
    const auto apply = [&](std::string_view op, const Numbers& numbers, double neutral) {
      if (!all_are(numbers, neutral)) y = program.add_op(op, {y, compact(program, shape, numbers)});
    };
    const auto [before, after] = shifts_of(a);
    apply("add", before, 0);
    if (all_are(a.s, -1))
      y = program.add_op("negative", {y});
    else
      apply("multiply", a.s, 1);
    apply("add", after, 0);
    rewriter.replace(node.out[0], y);
    return true;
  });
}

}  // namespace densa::freezing
