// take, its gradient and one_hot on a GPU.
#include "cuda/rows_by_id.h"
#include "ops/embedding/ids.h"
#include "ops/take/split.h"

namespace densa::inline DENSA_ISA {
namespace {

Split split_of(const View& x, const Attrs& attrs, const char* op) {
  return {x.shape, axis_of(x.shape, attrs, op)};
}

void take(const DeviceCall& call) {
  const View& x = call.in[0];
  const Split split = split_of(x, call.attrs, "take");
  const auto item = static_cast<std::int64_t>(item_size(x.dtype));
  launch_gather(call, split.outer, {call.in[1], split.size, true}, split.inner * item, x.data,
                call.out[0].data);
}

void take_grad(const DeviceCall& call) {
  const View &dy = call.in[0], &dx = call.out[0];
  const Split split = split_of(dx, call.attrs, "take_grad");
  const Ids ids(call.in[1], split.size, true);
  if (dx.dtype == DType::kFloat32) {
    launch_sum(call, split.outer, ids, split.inner, dy.as<const float>(), dx.as<float>());
  } else {
    launch_sum(call, split.outer, ids, split.inner, dy.as<const double>(), dx.as<double>());
  }
}

void out_of_bounds(const DeviceCall& call, const char* op, const View& x, long long status) {
  std::uint64_t room = 0;
  throw_out_of_bounds(op, id_text(fetch_id(call, call.in[1], status, &room), 0),
                      split_of(x, call.attrs, op).size);
}
void report(const DeviceCall& call, long long status) {
  out_of_bounds(call, "take", call.in[0], status);
}
void report_grad(const DeviceCall& call, long long status) {
  out_of_bounds(call, "take_grad", call.out[0], status);
}

// ---- one_hot ------------------------------------------------------------------------------------

template <class T>
__global__ void write_one_hot(std::int64_t n, Ids ids, Global<T> y) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t position = i / ids.size;
    y[i] = static_cast<T>(ids.row(position) == i - position * ids.size);
  }
}

void one_hot(const DeviceCall& call) {
  const View& y = call.out[0];
  const Ids ids(call.in[0], y.shape.back(), false);
  const std::int64_t n = element_count(y.shape);
  visit_dtype(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    cuda::launch(call.stream, cuda::grid_for(n), write_one_hot<T>, n, ids, y.as<T>());
  });
}

constexpr DeviceOp kOps[] = {
    {.name = "take", .eval = &take, .report = &report},
    {.name = "take_grad", .eval = &take_grad, .report = &report_grad},
    {.name = "one_hot", .eval = &one_hot},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> take() { return kOps; }

}  // namespace densa::cuda_ops
