// take, take_along, their gradients and one_hot on a GPU.
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

// ---- take_along ---------------------------------------------------------------------------------

// An id for each number; `line` numbers of y, and ids.size * inner of x, for each outer one.
template <class Word>
__global__ void gather_along(std::int64_t line, std::int64_t inner, Ids ids, Global<const Word> x,
                             Global<Word> y, Global<long long> status) {
  DENSA_ROLLED
  for (std::int64_t k = GridStride::begin(); k < ids.count; k += GridStride::step()) {
    const std::int64_t row = ids.row(k);
    if (row < 0) tell(status, k);
    y[k] = row < 0 ? Word{} : x[(k / line * ids.size + row) * inner + k % inner];
  }
}

void take_along(const DeviceCall& call) {
  const View& x = call.in[0];
  const Split split = split_of(x, call.attrs, "take_along");
  const Ids ids(call.in[1], split.size, true);
  if (ids.count == 0) return;
  visit_word_of(static_cast<std::int64_t>(item_size(x.dtype)), [&](auto zero) {
    using Word = decltype(zero);
    cuda::launch(call.stream, cuda::grid_for(ids.count), gather_along<Word>,
                 ids.count / split.outer, split.inner, ids, x.as<const Word>(),
                 call.out[0].as<Word>(), call.status);
  });
}

// One thread for each line along the axis adds its numbers in order.
template <class T>
__global__ void sum_along(std::int64_t lines, std::int64_t count, std::int64_t inner, Ids ids,
                          Global<const T> dy, Global<T> dx, Global<long long> status) {
  DENSA_ROLLED
  for (std::int64_t n = GridStride::begin(); n < lines; n += GridStride::step()) {
    const std::int64_t outer = n / inner, column = n - outer * inner;
    DENSA_ROLLED
    for (std::int64_t r = 0; r < ids.size; ++r) dx[(outer * ids.size + r) * inner + column] = T(0);
    DENSA_ROLLED
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t k = (outer * count + j) * inner + column, row = ids.row(k);
      if (row < 0) {
        tell(status, k);
      } else {
        const std::int64_t to = (outer * ids.size + row) * inner + column;
        dx[to] = dx[to] + dy[k];
      }
    }
  }
}

void take_along_grad(const DeviceCall& call) {
  const View &dy = call.in[0], &dx = call.out[0];
  const Split split = split_of(dx, call.attrs, "take_along_grad");
  const Ids ids(call.in[1], split.size, true);
  const std::int64_t lines = split.outer * split.inner;
  if (lines == 0) return;
  const auto launch = [&](auto zero) {
    using T = decltype(zero);
    cuda::launch(call.stream, cuda::grid_for(lines), sum_along<T>, lines, ids.count / lines,
                 split.inner, ids, dy.as<const T>(), dx.as<T>(), call.status);
  };
  dx.dtype == DType::kFloat32 ? launch(float{}) : launch(double{});
}

void report_along(const DeviceCall& call, long long status) {
  out_of_bounds(call, "take_along", call.in[0], status);
}
void report_along_grad(const DeviceCall& call, long long status) {
  out_of_bounds(call, "take_along_grad", call.out[0], status);
}

// ---- one_hot ------------------------------------------------------------------------------------

template <class T>
__global__ void write_one_hot(std::int64_t n, Ids ids, Global<T> y) {
  DENSA_ROLLED
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
    {.name = "take_along", .eval = &take_along, .report = &report_along},
    {.name = "take_along_grad", .eval = &take_along_grad, .report = &report_along_grad},
    {.name = "one_hot", .eval = &one_hot},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> take() { return kOps; }

}  // namespace densa::cuda_ops
