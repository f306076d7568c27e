// random_uniform and random_normal: tensors addressed by (seed, stream, step) and element index.
//
// With key = philox_key(seed, stream) and block b = philox(key, step, b): a float32 uniform takes
// word i % 4 of block i / 4, a float64 one takes two words of block i / 2, normals come in pairs
// from block i / 2 whatever their type.
#include <cmath>

#include "base/philox.h"
#include "base/threads.h"
#include "ops/check.h"
#include "ops/random/draw.h"
#include "ops/walk.h"

namespace densa {
namespace {

TypeInfo type_of(const Attrs& attrs, const char* op) {
  const DType dtype = dtype_from_name(attrs.get_string("dtype", "float32"));
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

// put(block, made) turns a block into `per_block` elements; the last ones may not be wanted.
template <class T, class F>
void each_block(const EvalCall& call, std::int64_t per_block, const F& put) {
  const Attrs& attrs = call.attrs;
  const PhiloxKey key = philox_key(static_cast<std::uint64_t>(attrs.get_int("seed", 0)),
                                   static_cast<std::uint64_t>(attrs.get_int("stream", 0)));
  const std::uint64_t step = draw_of(attrs, "random").at(call.step);
  const std::int64_t n = element_count(call.out[0].shape);
  T* y = call.out[0].as<T>();
  const std::int64_t blocks = (n + per_block - 1) / per_block;
  parallel_for(blocks, kParallelGrain / 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const PhiloxBlock words = philox(key, step, static_cast<std::uint64_t>(b));
      T made[4];
      put(words, made);
      for (std::int64_t k = 0; k < per_block && b * per_block + k < n; ++k)
        y[b * per_block + k] = made[k];
    }
  });
}

template <class T>
void uniform(const EvalCall& call) {
  const double low = call.attrs.get_double("low", 0), high = call.attrs.get_double("high", 1);
  const T top = std::nextafter(static_cast<T>(high), static_cast<T>(low));
  const auto place = [&](double u) {  // rounding must not reach `high`
    const T x = static_cast<T>(low + (high - low) * u);
    return low < high && x >= static_cast<T>(high) ? top : x;
  };
  if constexpr (sizeof(T) == 4) {
    each_block<T>(call, 4, [&](const PhiloxBlock& block, T* made) {
      for (int k = 0; k < 4; ++k) made[k] = place(double{uniform_float(block.word[k])});
    });
  } else {
    each_block<T>(call, 2, [&](const PhiloxBlock& block, T* made) {
      made[0] = place(uniform_double(block.word[0], block.word[1]));
      made[1] = place(uniform_double(block.word[2], block.word[3]));
    });
  }
}

template <class T>
void normal(const EvalCall& call) {
  const double mean = call.attrs.get_double("mean", 0), stddev = call.attrs.get_double("stddev", 1);
  each_block<T>(call, 2, [&](const PhiloxBlock& block, T* made) {
    double first = 0, second = 0;
    normal_pair(block, first, second);
    made[0] = static_cast<T>(mean + stddev * first);
    made[1] = static_cast<T>(mean + stddev * second);
  });
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
