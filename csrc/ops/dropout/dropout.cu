// Dropout on a GPU: one thread per Philox block, which is the mask of four elements.
#include "base/philox.h"
#include "cuda/numbers.h"
#include "ops/backend.h"
#include "ops/dropout/keep.h"
#include "ops/random/draw.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T>
__global__ void drop(std::int64_t n, Keep<T> keep, PhiloxKey key, Draw draw,
                     Global<const DeviceStep> plan, bool aligned, typename FloatMemory<T>::Out y,
                     typename FloatMemory<T>::In x) {
  const std::uint64_t step = draw.at(plan == nullptr ? 0 : plan->step);
  DENSA_ROLLED
  for (std::int64_t b = GridStride::begin(); 4 * b < n; b += GridStride::step()) {
    const PhiloxBlock block = philox(key, step, static_cast<std::uint64_t>(b));
    if (aligned && 4 * b + 4 <= n) {
      Four<T> v = load_four(x, 4 * b);
      for (int k = 0; k < 4; ++k) v.x[k] = keep.of(block.word[k], v.x[k]);
      put_four(y, 4 * b, v);
    } else {
      for (int k = 0; k < 4; ++k)
        if (4 * b + k < n) put(y, 4 * b + k, keep.of(block.word[k], x[4 * b + k]));
    }
  }
}

template <class T>
void dropout(const DeviceCall& call) {
  const Attrs& attrs = call.attrs;
  const PhiloxKey key = philox_key(static_cast<std::uint64_t>(attrs.get_int("seed", 0)),
                                   static_cast<std::uint64_t>(attrs.get_int("stream", 0)));
  const std::int64_t n = element_count(call.out[0].shape);
  using Memory = FloatMemory<T>;
  const View &x = call.in[0], &y = call.out[0];
  cuda::launch(call.stream, cuda::grid_for((n + 3) / 4), drop<T>, n,
               keep_of<T>(attrs.get_double("rate", 0)), key, draw_of(attrs, "dropout"), call.step,
               Memory::fits_four(x) && Memory::fits_four(y), Memory::out(y), Memory::in(x));
}

void by_dtype(const DeviceCall& call) {
  call.in[0].dtype == DType::kFloat64 ? dropout<double>(call) : dropout<float>(call);
}

constexpr DeviceOp kOps[] = {{.name = "dropout", .eval = &by_dtype, .half_in = 1, .half_out = 1}};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> dropout() { return kOps; }

}  // namespace densa::cuda_ops
