// Binary ops with broadcasting: arithmetic with gradients, through the kernels of list.inc.
#include <cstring>
#include <type_traits>

#include "ops/check.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/integers.h"
#include "ops/elementwise/parts.h"
#include "ops/walk.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(BinaryTable, binary_kernels)

const BinaryTable& binary_table() { return *pick_binary_kernels(); }

const BinaryKernel* find_binary(const char* name) {
  const BinaryTable& table = binary_table();
  for (std::size_t i = 0; i < table.count; ++i)
    if (std::strcmp(table.kernels[i].name, name) == 0) return &table.kernels[i];
  return nullptr;
}

namespace {

using namespace elementwise;

bool knows_integers(int index) { return index != k_divide && index != k_sigmoid_cross_entropy; }

bool knows_bools(int index) {
  return index == k_add || index == k_multiply || index == k_maximum || index == k_minimum;
}

template <class T>
void eval_plain(BinaryIndex index, const EvalCall& call) {
  map_rows<T, 2>(call.out[0], {call.in[0], call.in[1]},
                 [&](T* y, const auto& src, const auto& scalar, std::size_t n) {
                   for (std::size_t i = 0; i < n; ++i)
                     y[i] = plain_value<T>(index, src[0][scalar[0] ? 0 : i],
                                           src[1][scalar[1] ? 0 : i]);
                 });
}

template <class T>
void eval_float(const BinaryKernel& kernel, const EvalCall& call) {
  const auto f = kernel.fn<T>();
  map_rows<T, 2>(call.out[0], {call.in[0], call.in[1]},
                 [&](T* y, const auto& src, const auto& scalar, std::size_t n) {
                   f(y, src[0], src[1], n, scalar[0] ? Step::kScalar : Step::kEach,
                     scalar[1] ? Step::kScalar : Step::kEach);
                 });
}

// ---- gradients: of a and b, before what broadcasting stretched is summed ----

struct Pair {
  Value a, b;
};

// 1 where `winner` holds and 1/2 where a equals b: ties share the gradient.
Value share(const GradCall& call, const char* winner) {
  Builder& build = call.build;
  const Attrs to{{"dtype", std::string(dtype_name(call.in[0]->type.dtype))}};
  const Value wins = build.apply("cast", {build.apply(winner, {call.in[0], call.in[1]})}, to);
  const Value ties = build.apply("cast", {build.apply("equal", {call.in[0], call.in[1]})}, to);
  return build.apply("add",
                     {wins, build.apply("multiply", {ties, scalar_of(build, call.in[0], 0.5)})});
}

Pair grad_power(const GradCall& call) {
  Builder& build = call.build;
  const Value &a = call.in[0], &b = call.in[1], &dy = call.dy[0];
  const Value zero = scalar_of(build, a, 0), one = scalar_of(build, a, 1);
  Pair out;
  if (call.needs[0]) {  // b a^(b-1), and 0 where b is 0, also at a = 0
    const Value lower = build.apply("power", {a, build.apply("subtract", {b, one})});
    const Value slope = build.apply("multiply", {b, lower});
    const Value flat = build.apply("equal", {b, zero});
    out.a = build.apply("multiply", {dy, build.apply("where", {flat, zero, slope})});
  }
  if (call.needs[1]) {  // y log(a), and 0 where a <= 0
    const Value positive = build.apply("greater", {a, zero});
    const Value safe = build.apply("where", {positive, a, one});
    const Value slope = build.apply("multiply", {call.out[0], build.apply("log", {safe})});
    out.b = build.apply("multiply", {dy, slope});
  }
  return out;
}

template <BinaryIndex kIndex>
Pair pair_grad(const GradCall& call) {
  Builder& build = call.build;
  const Value &a = call.in[0], &b = call.in[1], &dy = call.dy[0];
  const bool first = call.needs[0], second = call.needs[1];
  Pair out;
  if constexpr (kIndex == k_add) {
    out = {dy, dy};
  } else if constexpr (kIndex == k_subtract) {
    out.a = dy;
    if (second) out.b = build.apply("negative", {dy});
  } else if constexpr (kIndex == k_multiply) {
    if (first) out.a = build.apply("multiply", {dy, b});
    if (second) out.b = build.apply("multiply", {dy, a});
  } else if constexpr (kIndex == k_divide) {
    const Value q = build.apply("divide", {dy, b});
    out.a = q;
    if (second) out.b = build.apply("negative", {build.apply("multiply", {q, call.out[0]})});
  } else if constexpr (kIndex == k_power) {
    out = grad_power(call);
  } else if constexpr (kIndex == k_maximum || kIndex == k_minimum) {
    const Value part = share(call, kIndex == k_maximum ? "greater" : "less");
    const Value to_a = build.apply("multiply", {dy, part});
    out.a = to_a;
    if (second) out.b = build.apply("subtract", {dy, to_a});
  } else {  // sigmoid_cross_entropy of logits a and target b
    if (first)
      out.a =
          build.apply("multiply", {dy, build.apply("subtract", {build.apply("sigmoid", {a}), b})});
    if (second) out.b = build.apply("negative", {build.apply("multiply", {dy, a})});
  }
  return out;
}

template <BinaryIndex kIndex>
struct BinaryOp {
  static const BinaryKernel& kernel() { return binary_table().kernels[kIndex]; }

  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
    const char* op = kernel().name;
    check_inputs(in, 2, op);
    check_same_dtype(in[0], in[1], op);
    const DType dtype = in[0].dtype;
    const bool plain = (is_integer(dtype) && knows_integers(kIndex)) ||
                       (dtype == DType::kBool && knows_bools(kIndex));
    if (!plain) check_floating(in[0], op);
    return {{dtype, broadcast_shapes(in[0].shape, in[1].shape, op)}};
  }

  static std::vector<Value> grad(const GradCall& call) {
    std::vector<Value> out(2);
    if (call.dy[0] == nullptr) return out;
    const Pair pair = pair_grad<kIndex>(call);
    if (call.needs[0] && pair.a) out[0] = sum_like(call.build, pair.a, call.in[0]);
    if (call.needs[1] && pair.b) out[1] = sum_like(call.build, pair.b, call.in[1]);
    return out;
  }

  static void eval(const EvalCall& call) {
    visit_dtype(call.out[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        eval_float<T>(kernel(), call);
      } else {
        eval_plain<T>(kIndex, call);
      }
    });
  }
};

template <BinaryIndex kIndex>
Op binary_op(const char* name) {
  using This = BinaryOp<kIndex>;
  Op op{name, &This::infer, &This::grad, &This::eval};
  op.any_strides = true;
  return op;
}

}  // namespace

std::vector<Op> elementwise::binary_ops() {
  return {
#define DENSA_BINARY(name, Formula, doc) binary_op<k_##name>(#name),
#include "ops/elementwise/list.inc"
  };
}

}  // namespace densa
