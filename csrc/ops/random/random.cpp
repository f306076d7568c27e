// random_uniform and random_normal: tensors addressed by (seed, stream, step) and element index.
#include <cmath>

#include "base/threads.h"
#include "ops/asked_type.h"
#include "ops/check.h"
#include "ops/random/draw.h"
#include "ops/random/formula.h"
#include "ops/walk.h"

namespace densa {
namespace {

TypeInfo type_of(const Attrs& attrs, const char* op) {
  const DType dtype = asked_type(attrs, op);
  if (!is_floating(dtype))
    throw TypeError(cat(op, ": dtype must be float32 or float64 but is ", dtype_name(dtype)));
  Dims shape;
  for (const std::int64_t d : attrs.get_ints("shape")) {
    if (d < 0 && !(d == kRows && shape.empty()))
      throw ValueError(cat(op, ": shape holds a negative size, ", d));
    shape.push_back(d);
  }
  attrs.get_int("seed", 0), attrs.get_int("stream", 0);
  draw_of(attrs, op);
  return {dtype, shape};
}

std::vector<TypeInfo> infer_uniform(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 0, "random_uniform");
  const double low = attrs.get_double("low", 0), high = attrs.get_double("high", 1);
  if (!(low <= high && std::isfinite(low) && std::isfinite(high)))
    throw ValueError(cat("random_uniform: low must not exceed high and both must be finite, but ",
                         "they are ", low, " and ", high));
  return {type_of(attrs, "random_uniform")};
}

std::vector<TypeInfo> infer_normal(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 0, "random_normal");
  const double stddev = attrs.get_double("stddev", 1);
  attrs.get_double("mean", 0);
  if (!(stddev >= 0))
    throw ValueError(cat("random_normal: stddev must be at least 0 but is ", stddev));
  return {type_of(attrs, "random_normal")};
}

template <class T, class Made>
void fill(const EvalCall& call, const Made& make) {
  const Attrs& attrs = call.attrs;
  const PhiloxKey key = philox_key(static_cast<std::uint64_t>(attrs.get_int("seed", 0)),
                                   static_cast<std::uint64_t>(attrs.get_int("stream", 0)));
  const std::uint64_t step = draw_of(attrs, "random").at(call.step);
  const std::int64_t n = element_count(call.out[0].shape);
  T* y = call.out[0].as<T>();
  const std::int64_t blocks = (n + Made::kCount - 1) / Made::kCount;
  parallel_for(blocks, kParallelGrain / 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      T made[Made::kCount];
      make(philox(key, step, static_cast<std::uint64_t>(b)), made);
      for (std::int64_t k = 0; k < Made::kCount && b * Made::kCount + k < n; ++k)
        y[b * Made::kCount + k] = made[k];
    }
  });
}

template <class T>
void uniform(const EvalCall& call) {
  fill<T>(call, Uniform<T>(call.attrs.get_double("low", 0), call.attrs.get_double("high", 1)));
}

template <class T>
void normal(const EvalCall& call) {
  fill<T>(call, Normal<T>{call.attrs.get_double("mean", 0), call.attrs.get_double("stddev", 1)});
}

template <void (*kF32)(const EvalCall&), void (*kF64)(const EvalCall&)>
void by_dtype(const EvalCall& call) {
  (call.out[0].dtype == DType::kFloat64 ? kF64 : kF32)(call);
}

constexpr Op kOps[] = {
    {"random_uniform", &infer_uniform, nullptr, &by_dtype<uniform<float>, uniform<double>>},
    {"random_normal", &infer_normal, nullptr, &by_dtype<normal<float>, normal<double>>},
};

}  // namespace

namespace ops {
std::span<const Op> random();
std::span<const Op> random() { return kOps; }
}  // namespace ops

}  // namespace densa
