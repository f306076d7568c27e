// where(cond, a, b) with broadcasting, any dtype.
#include "ops/check.h"
#include "ops/op.h"
#include "ops/walk.h"

namespace densa {
namespace {

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
  check_inputs(in, 3, "where");
  if (in[0].dtype != DType::kBool)
    throw TypeError(cat("where: the condition must be bool but is ", dtype_name(in[0].dtype)));
  check_same_dtype(in[1], in[2], "where");
  const Dims ab = broadcast_shapes(in[1].shape, in[2].shape, "where");
  return {{in[1].dtype, broadcast_shapes(in[0].shape, ab, "where")}};
}

std::vector<Value> grad(const GradCall& call) {
  std::vector<Value> out(3);
  const Value& dy = call.dy[0];
  if (dy == nullptr || !is_floating(dy->type.dtype)) return out;
  Builder& build = call.build;
  const Value zero = scalar_of(build, dy, 0);
  if (call.needs[1])
    out[1] = sum_like(build, build.apply("where", {call.in[0], dy, zero}), call.in[1]);
  if (call.needs[2])
    out[2] = sum_like(build, build.apply("where", {call.in[0], zero, dy}), call.in[2]);
  return out;
}

void eval(const EvalCall& call) {
  const View& out = call.out[0];
  std::array<Dims, 4> strides{contiguous_strides(out.shape)};
  for (int k = 0; k < 3; ++k) strides[k + 1] = broadcast_strides(call.in[k], out.shape);
  const Walk<4> walk(out.shape, strides);
  visit_dtype(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    const bool* cond = call.in[0].as<const bool>();
    const T *a = call.in[1].as<const T>(), *b = call.in[2].as<const T>();
    T* y = out.as<T>();
    walk.run([&](const Walk<4>::Offsets& at, std::int64_t n) {
      const std::int64_t sc = walk.step(1), sa = walk.step(2), sb = walk.step(3);
      for (std::int64_t i = 0; i < n; ++i)
        y[at[0] + i] = cond[at[1] + i * sc] ? a[at[2] + i * sa] : b[at[3] + i * sb];
    });
  });
}

constexpr Op make() {
  Op op{"where", &infer, &grad, &eval};
  op.any_strides = true;
  return op;
}
constexpr Op kOps[] = {make()};

}  // namespace

namespace ops {
std::span<const Op> select();
std::span<const Op> select() { return kOps; }
}  // namespace ops

}  // namespace densa
