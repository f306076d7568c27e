// The parts of data that does not fit on a GPU, with nobody waiting for the kernels: only the
// events of GpuParts order them and the copies. Leaving out one of its waits gives wrong numbers
// under one of the seeds.
// The Backend, with what it stands on, is compiled here for a list of machine code of the test's.
#define DENSA_CUDA_CODE "75 90a ptx75"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "check.h"
#include "cuda/allocator.cpp"  // NOLINT(bugprone-suspicious-include)
#include "cuda/backend.cpp"    // NOLINT(bugprone-suspicious-include)
#include "cuda/emulation/streams.h"
#include "cuda/kernel.h"
#include "cuda/staging.cpp"  // NOLINT(bugprone-suspicious-include)
#include "graph/gpu_parts.h"

namespace densa::cuda_ops {
std::size_t update_scratch_bytes(const DeviceUpdate&) { return 0; }
void update(const DeviceUpdate&) {}
}  // namespace densa::cuda_ops

namespace densa::inline DENSA_ISA {
namespace {

constexpr Device kGpu{0};
constexpr std::int64_t kCols = 3, kBatch = 4;

__global__ void twice(std::int64_t n, Global<const float> x, Global<float> y) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) y[i] = 2 * x[i];
}

// Two passes over `rows` rows, in an order that goes down: each row comes back twice as large, as a
// result of the part (`collected`), or else in memory of the kernels' own.
void check_parts(std::int64_t rows, bool collected, std::uint64_t seed) {
  emulation::set_order(seed);
  Backend& gpu = cuda::cuda_backend();
  Program program;
  const TypeInfo type{DType::kFloat32, {kRows, kCols}};
  program.values.push_back({.type = type, .source = Source::kInput, .name = "x"});
  program.inputs = {0};
  program.values.push_back({type});
  const std::vector<int> results = collected ? std::vector<int>{1} : std::vector<int>{};
  GpuParts parts(gpu, kGpu, program, results);

  const auto count = static_cast<std::size_t>(rows * kCols);
  std::vector<float> x(count), y(count), want(count);
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  for (std::int64_t r = 0; r < rows; ++r) order[static_cast<std::size_t>(r)] = rows - 1 - r;
  constexpr auto kRowBytes = static_cast<std::ptrdiff_t>(kCols * sizeof(float));
  DataSpan span;
  span.sources = {{reinterpret_cast<const std::byte*>(x.data()), type.dtype, rows, kRowBytes}};
  if (collected) span.results = {{reinterpret_cast<std::byte*>(y.data()), kRowBytes}};
  span.order = order.data();
  span.end = rows;
  span.batch = kBatch;
  auto* const own = static_cast<float*>(gpu.allocate(kGpu, count * sizeof(float)));
  for (int pass = 0; pass < 2; ++pass) {
    for (std::size_t i = 0; i < count; ++i) {
      x[i] = static_cast<float>(1000 * pass + static_cast<int>(i));
      want[(static_cast<std::size_t>(rows) - 1 - i / kCols) * kCols + i % kCols] = 2 * x[i];
    }
    std::fill(y.begin(), y.end(), -1.0f);
    parts.begin(span);
    for (std::int64_t at = 0; at < rows; at = parts.last()) {
      parts.bring(at);
      CHECK(parts.first() == at && parts.last() == std::min(rows, at + parts.rows()), "row %d",
            static_cast<int>(at));
      auto* const to = collected ? static_cast<float*>(parts.results()[0]->data())
                                 : own + static_cast<std::ptrdiff_t>(at * kCols);
      cuda::launch(gpu.stream(kGpu), {{1}, {kWarp}}, twice, (parts.last() - at) * kCols,
                   static_cast<const float*>(parts.sources()[0]->data()), to);
      parts.prefetch();
      parts.fetch(at, parts.last());
    }
    parts.collect();
    if (!collected) gpu.copy(kGpu, y.data(), own, count * sizeof(float), cuda::Direction::kToHost);
    CHECK(y == want, "%d rows, %s, pass %d, seed %d", static_cast<int>(rows),
          collected ? "collected" : "not collected", pass, static_cast<int>(seed));
  }
  gpu.release(kGpu, own, count * sizeof(float));
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  set_backend(&cuda::cuda_backend());
  setenv("DENSA_GPU_PART_BYTES", "96", 1);  // 8 rows
  for (std::uint64_t seed : {0, 1, 2, 3, 4, 5})
    for (std::int64_t rows : {1, 8, 9, 16, 21, 50})
      for (bool collected : {false, true}) check_parts(rows, collected, seed);
  if (failures == 0) std::printf("cuda_parts: passed\n");
  return failures == 0 ? 0 : 1;
}
