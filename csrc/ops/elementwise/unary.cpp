// Unary ops: y = f(z), their slope and the slope's slope, all through the kernels of list.inc.
#include <cmath>
#include <cstring>

#include "ops/check.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/integers.h"
#include "ops/elementwise/parts.h"
#include "ops/walk.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(UnaryTable, unary_kernels)

const UnaryTable& unary_table() { return *pick_unary_kernels(); }

const UnaryKernel* find_unary(const char* name) {
  const UnaryTable& table = unary_table();
  for (std::size_t i = 0; i < table.count; ++i)
    if (std::strcmp(table.kernels[i].name, name) == 0) return &table.kernels[i];
  return nullptr;
}

namespace {

using namespace elementwise;

double parameter(const UnaryKernel& kernel, const Attrs& attrs) {
  if (kernel.attribute == nullptr) return 0;
  const double value = attrs.get_double(kernel.attribute, kernel.missing);
  if (!std::isfinite(value))
    throw ValueError(cat(kernel.name, ": ", kernel.attribute, " must be finite but is ", value));
  return value;
}

// Formulas that integers know too.
bool knows_integers(int index) {
  switch (index) {
    case k_negative:
    case k_abs:
    case k_square:
    case k_relu:
    case k_relu6:
    case k_sign:
    case k_floor:
    case k_ceil:
    case k_round: return true;
    default: return false;
  }
}

void eval_integers(UnaryIndex index, const View& out, const View& in) {
  visit_dtype(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      map_rows<T, 1>(out, {in}, [&](T* y, const auto& src, const auto& scalar, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) y[i] = integer_value(index, src[0][scalar[0] ? 0 : i]);
      });
    }
  });
}

template <class F>
void for_float(DType dtype, const F& f) {
  if (dtype == DType::kFloat32) {
    f(float{});
  } else {
    f(double{});
  }
}

constexpr bool rounds_to_half(int index) {
  return index == k_round_float16 || index == k_round_bfloat16;
}

// The kernel of one operand needs it element by element: a stretched input is filled out.
template <class T, std::size_t N, class F>
void map_filled(const View& out, const std::array<View, N>& in, const F& f) {
  map_rows<T, N>(out, in, [&](T* dst, auto src, const auto& scalar, std::size_t n) {
    bool any = false;
    for (std::size_t k = 0; k < N; ++k) any = any || scalar[k];
    if (!any) return f(dst, src, n);
    constexpr std::size_t kBlock = 256;
    T filled[N][kBlock];
    std::array<const T*, N> part = src;
    for (std::size_t k = 0; k < N; ++k) {
      if (!scalar[k]) continue;
      for (T& element : filled[k]) element = *src[k];
      part[k] = filled[k];
    }
    for (std::size_t i = 0; i < n; i += kBlock) {
      f(dst + i, part, n - i < kBlock ? n - i : kBlock);
      for (std::size_t k = 0; k < N; ++k)
        if (!scalar[k]) part[k] += kBlock;
    }
  });
}

// One body for all of them: each would be some kB of code.
std::vector<TypeInfo> infer_unary(UnaryIndex index, std::span<const TypeInfo> in,
                                  const Attrs& attrs) {
  const UnaryKernel& kernel = unary_table().kernels[index];
  check_inputs(in, 1, kernel.name);
  if (!(is_integer(in[0].dtype) && knows_integers(index))) check_floating(in[0], kernel.name);
  parameter(kernel, attrs);
  return {in[0]};
}

std::vector<Value> grad_unary(UnaryIndex index, const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr};
  const UnaryKernel& kernel = unary_table().kernels[index];
  // As two casts would: the gradient comes through 16 bits too.
  if (rounds_to_half(index)) return {call.build.apply(kernel.name, {call.dy[0]})};
  if (kernel.saved == Saved::kNone) return {nullptr};
  Attrs attrs = call.attrs;
  attrs.set("fn", std::string(kernel.name));
  const Value& saved = kernel.saved == Saved::kInput ? call.in[0] : call.out[0];
  return {call.build.apply("unary_slope", {saved, call.dy[0]}, attrs)};
}

void eval_unary(UnaryIndex index, const EvalCall& call) {
  const View& y = call.out[0];
  if (!is_floating(y.dtype)) return eval_integers(index, y, call.in[0]);
  const UnaryKernel& kernel = unary_table().kernels[index];
  const double number = parameter(kernel, call.attrs);
  for_float(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto value = kernel.template fns<T>().value;
    map_filled<T, 1>(y, {call.in[0]}, [&](T* dst, const auto& src, std::size_t n) {
      value(dst, src[0], n, &number);
    });
  });
}

const UnaryKernel& kernel_of(const Attrs& attrs, const char* op) {
  const std::string name = attrs.get_string("fn", "");
  const UnaryKernel* kernel = find_unary(name.c_str());
  if (kernel == nullptr || kernel->saved == Saved::kNone)
    throw ValueError(cat(op, ": fn='", name, "' is not a unary op with a gradient"));
  return *kernel;
}

std::vector<TypeInfo> infer_slope_of(std::span<const TypeInfo> in, const Attrs& attrs,
                                     const char* op) {
  check_inputs(in, 2, op);
  check_floating(in[0], op);
  check_same_dtype(in[0], in[1], op);
  check_same_shape(in[0], in[1], op);
  parameter(kernel_of(attrs, op), attrs);
  return {in[0]};
}

template <bool kCurve>
void eval_slope_of(const EvalCall& call) {
  const UnaryKernel& kernel = kernel_of(call.attrs, kCurve ? "unary_curve" : "unary_slope");
  const double number = parameter(kernel, call.attrs);
  for_float(call.out[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto& fns = kernel.fns<T>();
    const auto f = kCurve ? fns.curve : fns.slope;
    map_filled<T, 2>(
        call.out[0], {call.in[0], call.in[1]},
        [&](T* dst, const auto& src, std::size_t n) { f(dst, src[1], src[0], n, &number); });
  });
}

// slope(saved) * dy: linear in dy, and its derivative in `saved` is the curve.
std::vector<Value> grad_slope(const GradCall& call) {
  const Value& g = call.dy[0];
  if (g == nullptr) return {nullptr, nullptr};
  std::vector<Value> out(2);
  if (call.needs[0])
    out[0] = call.build.apply(
        "unary_curve", {call.in[0], call.build.apply("multiply", {g, call.in[1]})}, call.attrs);
  if (call.needs[1]) out[1] = call.build.apply("unary_slope", {call.in[0], g}, call.attrs);
  return out;
}

std::vector<Value> grad_curve(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr, nullptr};
  if (call.needs[0])
    throw ValueError(cat("the third derivative of ", call.attrs.get_string("fn", ""),
                         " is not available; densa has first and second derivatives"));
  return {nullptr, call.build.apply("unary_curve", {call.in[0], call.dy[0]}, call.attrs)};
}

std::vector<TypeInfo> infer_slope(std::span<const TypeInfo> in, const Attrs& attrs) {
  return infer_slope_of(in, attrs, "unary_slope");
}
std::vector<TypeInfo> infer_curve(std::span<const TypeInfo> in, const Attrs& attrs) {
  return infer_slope_of(in, attrs, "unary_curve");
}

template <UnaryIndex kIndex>
Op unary_op(const char* name) {
  Op op{name,
        [](std::span<const TypeInfo> in, const Attrs& attrs) {
          return infer_unary(kIndex, in, attrs);
        },
        [](const GradCall& call) { return grad_unary(kIndex, call); },
        [](const EvalCall& call) { eval_unary(kIndex, call); }};
  op.any_strides = true;
  return op;
}

}  // namespace

std::vector<Op> elementwise::unary_ops() {
  std::vector<Op> ops{
#define DENSA_UNARY(name, Formula, doc) unary_op<k_##name>(#name),
#define DENSA_UNARY_WITH(name, Formula, attribute, missing, doc) unary_op<k_##name>(#name),
#include "ops/elementwise/list.inc"
  };
  for (Op& op : ops)
    for (const char* stairs : {"sign", "floor", "ceil", "round"})
      if (std::strcmp(op.name, stairs) == 0) op.grad = nullptr;
  Op slope{"unary_slope", &infer_slope, &grad_slope, &eval_slope_of<false>};
  Op curve{"unary_curve", &infer_curve, &grad_curve, &eval_slope_of<true>};
  slope.any_strides = curve.any_strides = true;
  ops.push_back(slope);
  ops.push_back(curve);
  return ops;
}

}  // namespace densa
