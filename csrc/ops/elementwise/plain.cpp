// Comparisons, logic and tests on every dtype, and the rare binary ops: ordinary loops. Only mod
// and arctan2 have a gradient; floor_divide is a staircase, its slope is zero.
#include "ops/elementwise/plain.h"
#include "ops/check.h"
#include "ops/elementwise/parts.h"
#include "ops/walk.h"

namespace densa {
namespace {

using namespace elementwise;

enum class Kind : std::uint8_t { kCompare, kLogic, kArithmetic, kFloat };

template <class F, Kind kKind, const char* kName>
struct TwoInputs {
  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
    check_inputs(in, 2, kName);
    check_same_dtype(in[0], in[1], kName);
    if (kKind == Kind::kFloat) check_floating(in[0], kName);
    const bool to_bool = kKind == Kind::kCompare || kKind == Kind::kLogic;
    return {
        {to_bool ? DType::kBool : in[0].dtype, broadcast_shapes(in[0].shape, in[1].shape, kName)}};
  }
  static void eval(const EvalCall& call) {
    const View& out = call.out[0];
    const Walk<3> walk(out.shape,
                       {contiguous_strides(out.shape), broadcast_strides(call.in[0], out.shape),
                        broadcast_strides(call.in[1], out.shape)});
    visit_dtype(call.in[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      using R = decltype(F::of(zero, zero));
      const T *a = call.in[0].as<const T>(), *b = call.in[1].as<const T>();
      R* y = out.as<R>();
      walk.run([&](const Walk<3>::Offsets& at, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          y[at[0] + i] = F::of(a[at[1] + i * walk.step(1)], b[at[2] + i * walk.step(2)]);
      });
    });
  }
};

template <class F, const char* kName>
struct OneInput {
  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
    check_inputs(in, 1, kName);
    return {{DType::kBool, in[0].shape}};
  }
  static void eval(const EvalCall& call) {
    const View& out = call.out[0];
    const Walk<2> walk(out.shape,
                       {contiguous_strides(out.shape), broadcast_strides(call.in[0], out.shape)});
    visit_dtype(call.in[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      const T* a = call.in[0].as<const T>();
      bool* y = out.as<bool>();
      walk.run([&](const Walk<2>::Offsets& at, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) y[at[0] + i] = F::of(a[at[1] + i * walk.step(1)]);
      });
    });
  }
};

using Gradient = std::vector<Value> (*)(const GradCall& call);
constexpr Gradient kFlat = nullptr;

// a - b floor(a / b), the quotient being constant between its steps.
std::vector<Value> grad_mod(const GradCall& call) {
  Builder& build = call.build;
  const Value &a = call.in[0], &b = call.in[1], &dy = call.dy[0];
  std::vector<Value> out(2);
  if (call.needs[0]) out[0] = sum_like(build, dy, a);
  if (call.needs[1]) {
    const Value steps = build.apply("floor_divide", {a, b});
    out[1] = sum_like(build, build.apply("negative", {build.apply("multiply", {dy, steps})}), b);
  }
  return out;
}

// The angle of the point (b, a) turns by (b da - a db) / (a^2 + b^2); no slope (NaN) at the origin.
std::vector<Value> grad_arctan2(const GradCall& call) {
  Builder& build = call.build;
  const Value &a = call.in[0], &b = call.in[1];
  const Value square = build.apply("add", {build.apply("square", {a}), build.apply("square", {b})});
  const Value turn = build.apply("divide", {call.dy[0], square});
  std::vector<Value> out(2);
  if (call.needs[0]) out[0] = sum_like(build, build.apply("multiply", {turn, b}), a);
  if (call.needs[1])
    out[1] = sum_like(build, build.apply("negative", {build.apply("multiply", {turn, a})}), b);
  return out;
}

template <class Rules>
Op plain_op(const char* name, Gradient grad) {
  Op op{name, &Rules::infer, grad, &Rules::eval};
  op.any_strides = true;
  return op;
}

#define DENSA_NAME(name, F, kind, grad) constexpr char n_##name[] = #name;
DENSA_PLAIN_BINARY(DENSA_NAME)
#undef DENSA_NAME
#define DENSA_NAME(name, F) constexpr char n_##name[] = #name;
DENSA_PLAIN_UNARY(DENSA_NAME)
#undef DENSA_NAME

}  // namespace

std::vector<Op> elementwise::plain_ops() {
  return {
#define DENSA_ENTRY(name, F, kind, grad) plain_op<TwoInputs<F, Kind::kind, n_##name>>(#name, grad),
      DENSA_PLAIN_BINARY(DENSA_ENTRY)
#undef DENSA_ENTRY
#define DENSA_ENTRY(name, F) plain_op<OneInput<F, n_##name>>(#name, kFlat),
          DENSA_PLAIN_UNARY(DENSA_ENTRY)
#undef DENSA_ENTRY
  };
}

std::span<const Op> ops::elementwise() {
  static const auto* const all = [] {
    auto* list = new std::vector<Op>(densa::elementwise::unary_ops());
    for (const auto& more : {densa::elementwise::binary_ops(), densa::elementwise::plain_ops()})
      list->insert(list->end(), more.begin(), more.end());
    return list;
  }();
  return *all;
}

}  // namespace densa
