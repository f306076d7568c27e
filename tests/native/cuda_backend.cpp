// The Backend over the emulated runtime: who waits holds nothing, small uploads wait for nobody,
// memory that is kept is told of and given back.
// The Backend, with what it stands on, is compiled here for a list of machine code of the test's.
#define DENSA_CUDA_CODE "75 90a ptx75"
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cuda/allocator.cpp"  // NOLINT(bugprone-suspicious-include)
#include "cuda/backend.cpp"    // NOLINT(bugprone-suspicious-include)
#include "cuda/emulation/streams.h"
#include "cuda/kernel.h"
#include "cuda/staging.cpp"  // NOLINT(bugprone-suspicious-include)

namespace densa::cuda_ops {
std::size_t update_scratch_bytes(const DeviceUpdate&) { return 0; }
void update(const DeviceUpdate&) {}
}  // namespace densa::cuda_ops

namespace densa::inline DENSA_ISA {
namespace {

constexpr Device kGpu{0};

std::atomic<bool> inside{false}, go_on{false};

// Stays until the host says otherwise, or 5 s have passed.
__global__ void stay(Global<int> y) {
  inside = true;
  const auto start = std::chrono::steady_clock::now();
  while (!go_on && std::chrono::steady_clock::now() - start < std::chrono::seconds(5))
    std::this_thread::yield();
  y[0] = go_on ? 1 : 2;
}

// The stream is late under seed 1: the kernel runs while somebody waits for it.
template <class Wait>
void check_nobody_else_waits(const char* what, Wait&& wait) {
  Backend& gpu = cuda::cuda_backend();
  auto* const y = static_cast<int*>(gpu.allocate(kGpu, sizeof(int)));
  inside = go_on = false;
  cuda::launch(gpu.stream(kGpu), {{1}, {1}}, stay, y);
  std::thread waiter(wait);
  while (!inside) std::this_thread::yield();
  {
    const auto held = gpu.hold(kGpu);  // while the other thread waits
    go_on = true;
  }
  waiter.join();
  int got = 0;
  gpu.copy(kGpu, &got, y, sizeof got, cuda::Direction::kToHost);
  CHECK(got == 1, "%s keeps the device held", what);
  gpu.release(kGpu, y, sizeof(int));
}

void test_waiting() {
  emulation::set_order(1);
  Backend& gpu = cuda::cuda_backend();
  check_nobody_else_waits("synchronize", [&] { gpu.synchronize(kGpu); });
  for (std::size_t bytes : {std::size_t{64}, std::size_t{1} << 20}) {
    void* const x = gpu.allocate(kGpu, bytes);
    std::vector<std::byte> host(bytes);
    check_nobody_else_waits("a copy to the host", [&] {
      gpu.copy(kGpu, host.data(), x, bytes, cuda::Direction::kToHost);
    });
    check_nobody_else_waits("a copy to the device", [&] {
      if (bytes > cuda::Staging::kMostBytes) {
        gpu.copy(kGpu, x, host.data(), bytes, cuda::Direction::kToDevice);
      } else {
        gpu.synchronize(kGpu);
      }
    });
    gpu.release(kGpu, x, bytes);
  }
  emulation::set_order(0);
}

// Under every seed, more uploads than there are slots, each changed behind the call.
void test_uploads() {
  Backend& gpu = cuda::cuda_backend();
  for (std::uint64_t order : {0, 1, 2}) {
    emulation::set_order(order);
    for (std::size_t count :
         {std::size_t{1}, std::size_t{20000}, std::size_t{100000},
          cuda::Staging::kMostBytes / sizeof(int), cuda::Staging::kMostBytes / sizeof(int) + 1}) {
      constexpr std::size_t kTimes = 40;
      std::vector<int*> there;
      std::vector<int> host(count), back(count);
      for (std::size_t i = 0; i < kTimes; ++i) {
        there.push_back(static_cast<int*>(gpu.allocate(kGpu, count * sizeof(int))));
        std::iota(host.begin(), host.end(), static_cast<int>(i));
        gpu.copy(kGpu, there.back(), host.data(), count * sizeof(int), cuda::Direction::kToDevice);
      }
      for (std::size_t i = 0; i < kTimes; ++i) {
        gpu.copy(kGpu, back.data(), there[i], count * sizeof(int), cuda::Direction::kToHost);
        std::iota(host.begin(), host.end(), static_cast<int>(i));
        CHECK(back == host, "%zu numbers, upload %zu, seed %d", count, i, static_cast<int>(order));
        gpu.release(kGpu, there[i], count * sizeof(int));
      }
    }
  }
  emulation::set_order(0);
  auto* const x = static_cast<int*>(gpu.allocate(kGpu, 4000));
  const std::vector<int> host(1000);
  const emulation::Counts before = emulation::counts();
  for (int i = 0; i < 100; ++i) gpu.copy(kGpu, x, host.data(), 4000, cuda::Direction::kToDevice);
  CHECK(emulation::counts().waits == before.waits, "a small upload waits");
  CHECK(emulation::counts().pinned_bytes == before.pinned_bytes, "an upload takes memory anew");
  gpu.release(kGpu, x, 4000);
}

std::string error_of(cuda::Allocator& memory, std::size_t bytes) {
  try {
    memory.give(memory.take(bytes), bytes);
  } catch (const MemoryError& error) {
    return error.what();
  }
  return "";
}

void test_memory_that_is_kept() {
  constexpr std::size_t kAll = std::size_t{4} << 20, kBlock = std::size_t{1} << 20;
  setenv("DENSA_EMULATION_MEMORY", "4194304", 1);
  cuda::Allocator memory(0, true);
  void* const first = memory.take(kBlock);
  void* const second = memory.take(kBlock);
  memory.give(second, kBlock);
  CHECK(memory.kept_bytes() == kBlock, "%zu", memory.kept_bytes());
  CHECK(memory.take(kBlock) == second, "a block is used again");
  memory.give(second, kBlock);
  CHECK(error_of(memory, 3 * kBlock - (kBlock >> 2)).empty(), "kept memory makes room");
  memory.give_back();
  memory.give(memory.take(kBlock), kBlock);
  const std::string error = error_of(memory, kAll);
  for (const char* part :
       {"4194304 bytes (0.00390625 GiB) were asked for", "are free of 4194304",
        "densa holds 1048576 bytes", "had 1048576 bytes (0.000976562 GiB) for reuse"})
    CHECK(error.find(part) != std::string::npos, "'%s' lacks '%s'", error.c_str(), part);
  CHECK(memory.kept_bytes() == 0, "what is kept is given back before the error");
  memory.give(first, kBlock);
  memory.give_back();
  unsetenv("DENSA_EMULATION_MEMORY");
}

void test_code() {
  for (auto [major, minor, runs] : {std::tuple{7, 5, true},
                                    {8, 0, true},
                                    {9, 0, true},
                                    {12, 0, true},
                                    {7, 0, false},
                                    {6, 1, false}})
    CHECK(cuda::has_code(DENSA_CUDA_CODE, major, minor) == runs, "%d.%d", major, minor);
  CHECK(cuda::has_code("80", 8, 9) && !cuda::has_code("80", 9, 0), "newer minor versions only");
  CHECK(cuda::has_code("90a", 9, 0) && !cuda::has_code("90a", 10, 0), "a letter is exact");
  CHECK(!cuda::has_code("", 9, 0), "no code at all");
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  test_waiting();
  test_uploads();
  test_memory_that_is_kept();
  test_code();
  if (failures == 0) std::printf("cuda_backend: passed\n");
  return failures == 0 ? 0 : 1;
}
