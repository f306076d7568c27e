// softmax and log_softmax on a GPU: a team of threads per row (cuda/row_team.h) reads it three
// times, from cache after the first; exponentials are taken twice, so only x and y cross memory.
#include "cuda/row_team.h"
#include "ops/backend.h"
#include "ops/reduce/formula.h"
#include "ops/softmax/formula.h"

namespace densa::inline DENSA_ISA {
namespace {

// x and y are [rows / inner][cols][inner]; a row is one (outer, inner).
template <class T, bool kLog, bool kWide>
__global__ void softmax_rows(std::int64_t rows, std::int64_t cols, std::int64_t inner, int width,
                             Global<const T> x, Global<T> y) {
  __shared__ TeamRoom<T> room;
  for (Team<kWide> team(width); team.any(rows); team.next()) {
    const std::int64_t outer = team.row() / inner;
    const std::int64_t base = outer * cols * inner + (team.row() - outer * inner);
    const std::int64_t n = team.row() < rows ? cols : 0;
    T top = static_cast<T>(Larger::kNeutral);
    for (std::int64_t c = team.rank(); c < n; c += team.size())
      top = Larger::of(top, x[base + c * inner]);
    top = team.template fold<Larger>(top, room);
    LongSum<T> own;
    for (std::int64_t c = team.rank(); c < n; c += team.size())
      own.add(SoftmaxShare::power(x[base + c * inner], top));
    const T sum = team.template fold<Add>(own.value(), room);
    const T rest = kLog ? log(sum) : sum;
    for (std::int64_t c = team.rank(); c < n; c += team.size()) {
      const std::int64_t at = base + c * inner;
      if constexpr (kLog) {
        y[at] = SoftmaxShare::logarithm(x[at], top, rest);
      } else {
        y[at] = SoftmaxShare::value(SoftmaxShare::power(x[at], top), rest);
      }
    }
  }
}

template <class T, bool kLog>
void eval_as(const DeviceCall& call) {
  const View& x = call.in[0];
  const int rank = x.shape.rank();
  const int axis =
      normalize_axis(call.attrs.get_int("axis", -1), rank, kLog ? "log_softmax" : "softmax");
  std::int64_t rows = 1, inner = 1;
  const std::int64_t cols = x.shape[axis];
  for (int i = 0; i < rank; ++i) {
    if (i != axis) rows *= x.shape[i];
    if (i > axis) inner *= x.shape[i];
  }
  if (cols == 0 || rows == 0) return;
  const int width = team_width(cols, inner);
  const bool wide = cols >= kWideFrom && width == kWarp;
  cuda::launch(call.stream, team_grid(rows, width, wide),
               wide ? &softmax_rows<T, kLog, true> : &softmax_rows<T, kLog, false>, rows, cols,
               inner, width, x.as<const T>(), call.out[0].as<T>());
}

template <bool kLog>
void eval(const DeviceCall& call) {
  if (call.in[0].dtype == DType::kFloat32) {
    eval_as<float, kLog>(call);
  } else {
    eval_as<double, kLog>(call);
  }
}

constexpr DeviceOp kOps[] = {
    {.name = "softmax", .eval = &eval<false>},
    {.name = "log_softmax", .eval = &eval<true>},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> softmax() { return kOps; }

}  // namespace densa::cuda_ops
