// argsort on a GPU: one thread per number counts those that come before it, which is its place.
#include "ops/order/order.h"

#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T>
__global__ void place_each(std::int64_t n, std::int64_t size, bool descending, Global<const T> x,
                           Global<std::int32_t> ids) {
  DENSA_ROLLED
  for (std::int64_t k = GridStride::begin(); k < n; k += GridStride::step()) {
    const std::int64_t begin = k / size * size, own = k - begin;
    const T value = x[k];
    std::int64_t place = 0;
    DENSA_ROLLED
    for (std::int64_t i = 0; i < size; ++i)
      place += comes_before(T(x[begin + i]), i, value, own, descending) ? 1 : 0;
    ids[begin + place] = static_cast<std::int32_t>(own);
  }
}

void argsort(const DeviceCall& call) {
  const View& x = call.in[0];
  const std::int64_t n = element_count(x.shape);
  if (n == 0) return;
  const bool descending = call.attrs.get_bool("descending", false);
  visit_sorted(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    cuda::launch(call.stream, cuda::grid_for(n), place_each<T>, n, x.shape.back(), descending,
                 x.as<const T>(), call.out[0].as<std::int32_t>());
  });
}

constexpr DeviceOp kOps[] = {{.name = "argsort", .eval = &argsort}};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> order() { return kOps; }

}  // namespace densa::cuda_ops
