// Dropout on a GPU: one thread per Philox block, which is the mask of four elements.
#include "base/philox.h"
#include "cuda/strided.h"
#include "ops/backend.h"
#include "ops/dropout/keep.h"
#include "ops/random/draw.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T>
__global__ void drop(std::int64_t n, Keep<T> keep, PhiloxKey key, Draw draw,
                     Global<const DeviceStep> plan, bool aligned, Global<T> y, Global<const T> x) {
  const std::uint64_t step = draw.at(plan == nullptr ? 0 : plan->step);
  DENSA_ROLLED
  for (std::int64_t b = GridStride::begin(); 4 * b < n; b += GridStride::step()) {
    const PhiloxBlock block = philox(key, step, static_cast<std::uint64_t>(b));
    if (aligned && 4 * b + 4 <= n) {
      Four<T> v = load_four(x, 4 * b);
      for (int k = 0; k < 4; ++k) v.x[k] = keep.of(block.word[k], v.x[k]);
      store_four(y, 4 * b, v);
    } else {
      for (int k = 0; k < 4; ++k)
        if (4 * b + k < n) y[4 * b + k] = keep.of(block.word[k], x[4 * b + k]);
    }
  }
}

template <class T>
void dropout(const DeviceCall& call) {
  const Attrs& attrs = call.attrs;
  const PhiloxKey key = philox_key(static_cast<std::uint64_t>(attrs.get_int("seed", 0)),
                                   static_cast<std::uint64_t>(attrs.get_int("stream", 0)));
  const std::int64_t n = element_count(call.out[0].shape);
  const T* x = call.in[0].as<const T>();
  T* y = call.out[0].as<T>();
  cuda::launch(call.stream, cuda::grid_for((n + 3) / 4), drop<T>, n,
               keep_of<T>(attrs.get_double("rate", 0)), key, draw_of(attrs, "dropout"), call.step,
               fits_four<T>(x) && fits_four<T>(y), y, x);
}

void by_dtype(const DeviceCall& call) {
  call.in[0].dtype == DType::kFloat32 ? dropout<float>(call) : dropout<double>(call);
}

constexpr DeviceOp kOps[] = {{.name = "dropout", .eval = &by_dtype}};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> dropout() { return kOps; }

}  // namespace densa::cuda_ops
