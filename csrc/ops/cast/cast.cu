// cast and copy on a GPU: one thread per element.
//
// A kernel per type of result is told the type it reads, so that 169 pairs of types are 13 kernels.
#include "cuda/strided.h"
#include "ops/backend.h"
#include "ops/cast/convert.h"
#include "ops/cast/misfit.h"
#include "ops/copy.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class To, class From>
__device__ void convert_all(std::int64_t n, Global<To> y, Global<const From> x,
                            Global<long long> status) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const From element = x[i];
    y[i] = casting::convert<To>(element);
    if (status != nullptr && !casting::fits<To>(element))
      atomic_min(status, static_cast<long long>(i));
  }
}

// `status` is null, or lowered to the first element that does not fit.
template <class To>
__global__ void cast_elements(std::int64_t n, Global<To> y, DType from, const void* x,
                              Global<long long> status) {
  switch (from) {
#define DENSA_CASE(name, python, From) \
  case DType::name:                    \
    return convert_all<To, From>(n, y, Global<const From>(static_cast<const From*>(x)), status);
    DENSA_ALL_DTYPES(DENSA_CASE)
#undef DENSA_CASE
  }
}

bool is_strict(const Attrs& attrs) { return !attrs.get_string("strict", "").empty(); }
std::string strict_name(const DeviceCall& call) { return call.attrs.get_string("strict", ""); }

void cast(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const std::int64_t n = element_count(y.shape);
  visit_any_dtype(y.dtype, [&](auto zero) {
    using To = decltype(zero);
    cuda::launch(call.stream, cuda::grid_for(n), cast_elements<To>, n, y.as<To>(), x.dtype,
                 static_cast<const void*>(x.data), is_strict(call.attrs) ? call.status : nullptr);
  });
}

void report(const DeviceCall& call, long long status) {
  const View& x = call.in[0];
  visit_any_dtype(x.dtype, [&](auto element) {
    using From = decltype(element);
    cuda::copy(call.stream, &element, x.as<const From>() + status, sizeof element,
               cuda::Direction::kToHost);
    cuda::synchronize(call.stream);
    casting::throw_misfit(strict_name(call), x.shape, status, element);
  });
}

struct Same {
  template <class T>
  __device__ T operator()(T x) const {
    return x;
  }
};

void copy(const DeviceCall& call) {
  visit_word(call.out[0].dtype, [&](auto zero) {
    using Word = decltype(zero);
    launch_map<Word, Word>(call.stream, Same{}, call.out[0], call.in[0]);
  });
}

constexpr DeviceOp kOps[] = {
    {.name = "cast", .eval = &cast, .report = &report, .may_fail = &is_strict},
    {.name = "copy", .eval = &copy, .any_strides = true},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> cast() { return kOps; }

}  // namespace densa::cuda_ops
