// A block takes a piece of one array, a thread four neighbours of it at a time.
#include "ops/round_all/round_all.h"

#include "cuda/numbers.h"
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr std::int64_t kPiece = 4 * static_cast<std::int64_t>(cuda::kThreads);

struct Rounded {
  Global<const float> x;
  Numbers<float> y;
  std::int64_t n = 0, first_piece = 0;
  bool by_four = false;
};
struct RoundCall {
  int count = 0;
  NumberFormat format = NumberFormat::kBFloat16;
  Rounded arrays[kMostRounded];
};

__global__ void round_arrays(RoundCall call) {
  int which = 0;
  while (which + 1 < call.count && call.arrays[which + 1].first_piece <= blockIdx.x) ++which;
  const Rounded& one = call.arrays[which];
  const std::int64_t i = (blockIdx.x - one.first_piece) * kPiece + 4 * threadIdx.x;
  if (one.by_four && i + 4 <= one.n) {
    Four<float> v = load_four(one.x, i);
    for (int k = 0; k < 4; ++k) v.x[k] = as_half(call.format, v.x[k]);
    put_four(one.y, i, v);
  } else {
    for (std::int64_t k = i; k < i + 4 && k < one.n; ++k)
      put(one.y, k, as_half(call.format, one.x[k]));
  }
}

void eval(const DeviceCall& call) {
  RoundCall all;
  all.format = format_of(dtype_from_name(call.attrs.get_string("format", "bfloat16")));
  std::int64_t pieces = 0;
  for (std::size_t i = 0; i < call.in.size(); ++i) {
    const View &x = call.in[i], &y = call.out[i];
    const std::int64_t n = element_count(x.shape);
    if (n == 0) continue;
    all.arrays[all.count++] = {Memory<float>::in(x), Numbers<float>::of(y), n, pieces,
                               Memory<float>::fits_four(x) && Memory<AnyFloat>::fits_four(y)};
    pieces += (n + kPiece - 1) / kPiece;
  }
  cuda::launch(call.stream, {{static_cast<unsigned>(pieces)}, {cuda::kThreads}}, round_arrays, all);
}

constexpr DeviceOp kOps[] = {{.name = "round_all", .eval = &eval, .half_out = ~0u}};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> round_all();
std::span<const DeviceOp> round_all() { return kOps; }

}  // namespace densa::cuda_ops
