// cast: any dtype to any other, as convert.h says. The attribute `strict` says what the numbers
// are, ids say: one that does not fit an integer type is then an error.
#include <atomic>

#include "ops/cast/convert.h"
#include "ops/cast/misfit.h"
#include "ops/check.h"
#include "ops/op.h"
#include "ops/walk.h"

namespace densa {
namespace {

using namespace casting;

template <class To, class From>
[[noreturn]] void find_misfit(const View& x, const std::string& what) {
  const Dims strides = contiguous_strides(x.shape);
  const auto* from = x.as<const From>();
  for (std::int64_t i = 0, n = element_count(x.shape); i < n; ++i) {
    std::int64_t at = 0;
    for (int k = 0; k < x.shape.rank(); ++k) at += i / strides[k] % x.shape[k] * x.strides[k];
    if (!fits<To>(from[at])) throw_misfit(what, x.shape, i, from[at]);
  }
  throw ValueError(cat(what, " do not fit the range of integers"));  // changed meanwhile
}

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "cast");
  return {{dtype_from_name(attrs.get_string("dtype", "float32")), in[0].shape}};
}

std::vector<Value> grad(const GradCall& call) {
  const DType from = call.in[0]->type.dtype;
  if (call.dy[0] == nullptr || !is_floating(from) || !is_floating(call.out[0]->type.dtype))
    return {nullptr};
  return {call.build.apply("cast", {call.dy[0]}, {{"dtype", std::string(dtype_name(from))}})};
}

void eval(const EvalCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const std::string strict = call.attrs.get_string("strict", "");
  const Walk<2> walk(y.shape, {contiguous_strides(y.shape), broadcast_strides(x, y.shape)});
  visit_any_dtype(x.dtype, [&](auto from) {
    using From = decltype(from);
    visit_any_dtype(y.dtype, [&](auto to) {
      using To = decltype(to);
      const From* src = x.as<const From>();
      To* dst = y.as<To>();
      std::atomic<bool> misfit{false};
      walk.run([&](const Walk<2>::Offsets& at, std::int64_t n) {
        const std::int64_t step = walk.step(1);
        for (std::int64_t i = 0; i < n; ++i) dst[at[0] + i] = convert<To>(src[at[1] + i * step]);
        if (strict.empty()) return;
        bool all = true;
        for (std::int64_t i = 0; i < n; ++i) all = all && fits<To>(src[at[1] + i * step]);
        if (!all) misfit.store(true, std::memory_order_relaxed);
      });
      if (misfit.load(std::memory_order_relaxed)) find_misfit<To, From>(x, strict);
    });
  });
}

constexpr Op make() {
  Op op{"cast", &infer, &grad, &eval};
  op.any_strides = true;
  return op;
}
constexpr Op kOps[] = {make()};

}  // namespace

namespace ops {
std::span<const Op> cast();
std::span<const Op> cast() { return kOps; }
}  // namespace ops

}  // namespace densa
