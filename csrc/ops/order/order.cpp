// argsort(x): for each line along the last axis, the int32 indices that put it into order;
// attribute `descending`. Among equal numbers indices rise, and NaN is last: the same order
// everywhere.
#include "ops/order/order.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "ops/check.h"
#include "ops/walk.h"

namespace densa {
namespace {

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "argsort");
  attrs.get_bool("descending", false);
  const TypeInfo& x = in[0];
  const bool known = x.dtype == DType::kFloat32 || x.dtype == DType::kFloat64 ||
                     x.dtype == DType::kInt32 || x.dtype == DType::kInt64 ||
                     x.dtype == DType::kUInt64;
  if (!known)
    throw TypeError(
        cat("argsort: cannot sort ", dtype_name(x.dtype), "; cast it to int32, int64 or float32"));
  if (x.shape.empty()) throw ShapeError("argsort: a scalar has no axis to sort along");
  if (is_open(x.shape.back()))
    throw NeedsRows("argsort: an order of the rows of the batch needs to know how many there are");
  if (x.shape.back() > INT32_MAX)
    throw ShapeError(cat("argsort: indices are int32, but the last axis has ", x.shape.back()));
  return {{DType::kInt32, x.shape}};
}

void eval(const EvalCall& call) {
  const View& x = call.in[0];
  const std::int64_t size = x.shape.back();
  if (size == 0) return;
  const bool descending = call.attrs.get_bool("descending", false);
  auto* to = call.out[0].as<std::int32_t>();
  visit_sorted(x.dtype, [&](auto zero) {
    const auto* from = x.as<const decltype(zero)>();
    parallel_for(element_count(x.shape) / size, 1 + kParallelGrain / (16 * size),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t k = begin; k < end; ++k) {
                     const auto* line = from + k * size;
                     std::int32_t* ids = to + k * size;
                     std::iota(ids, ids + size, 0);
                     // The order has no ties, so that it needs no stable sort, which allocates.
                     std::sort(ids, ids + size, [&](std::int32_t i, std::int32_t j) {
                       return comes_before(line[i], i, line[j], j, descending);
                     });
                   }
                 });
  });
}

constexpr Op kOps[] = {{"argsort", &infer, nullptr, &eval}};

}  // namespace

namespace ops {
std::span<const Op> order();
std::span<const Op> order() { return kOps; }
}  // namespace ops

}  // namespace densa
