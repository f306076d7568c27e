// random_uniform and random_normal on a GPU: one thread per Philox block.
#include "cuda/strided.h"
#include "ops/backend.h"
#include "ops/random/draw.h"
#include "ops/random/formula.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T, class Made>
__global__ void fill_blocks(std::int64_t n, Made make, PhiloxKey key, Draw draw,
                            Global<const DeviceStep> plan, bool aligned, Global<T> y) {
  constexpr int kCount = Made::kCount;
  const std::uint64_t step = draw.at(plan == nullptr ? 0 : plan->step);
  DENSA_ROLLED
  for (std::int64_t b = GridStride::begin(); b * kCount < n; b += GridStride::step()) {
    T made[kCount];
    make(philox(key, step, static_cast<std::uint64_t>(b)), made);
    if constexpr (kCount == 4) {
      if (aligned && 4 * b + 4 <= n) {
        store_four(y, 4 * b, Four<T>{{made[0], made[1], made[2], made[3]}});
        continue;
      }
    }
    for (int k = 0; k < kCount; ++k)
      if (b * kCount + k < n) y[b * kCount + k] = made[k];
  }
}

template <class T, class Made>
void fill(const DeviceCall& call, const Made& make) {
  const Attrs& attrs = call.attrs;
  const PhiloxKey key = philox_key(static_cast<std::uint64_t>(attrs.get_int("seed", 0)),
                                   static_cast<std::uint64_t>(attrs.get_int("stream", 0)));
  const std::int64_t n = element_count(call.out[0].shape);
  cuda::launch(call.stream, cuda::grid_for((n + Made::kCount - 1) / Made::kCount),
               fill_blocks<T, Made>, n, make, key, draw_of(attrs, "random"), call.step,
               fits_four<T>(call.out[0].as<T>()), call.out[0].as<T>());
}

template <class T>
void uniform(const DeviceCall& call) {
  fill<T>(call, Uniform<T>(call.attrs.get_double("low", 0), call.attrs.get_double("high", 1)));
}
template <class T>
void normal(const DeviceCall& call) {
  fill<T>(call, Normal<T>{call.attrs.get_double("mean", 0), call.attrs.get_double("stddev", 1)});
}

template <void (*kF32)(const DeviceCall&), void (*kF64)(const DeviceCall&)>
void by_dtype(const DeviceCall& call) {
  (call.out[0].dtype == DType::kFloat64 ? kF64 : kF32)(call);
}

constexpr DeviceOp kOps[] = {
    {.name = "random_uniform", .eval = &by_dtype<uniform<float>, uniform<double>>},
    {.name = "random_normal", .eval = &by_dtype<normal<float>, normal<double>>},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> random() { return kOps; }

}  // namespace densa::cuda_ops
