// The CUDA emulation: what correct kernels and streams compute, and planted faults that it must
// catch: ten in kernels, six between two streams and the host.
#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/emulation/streams.h"
#include "cuda/kernel.h"
#include "cuda/launch.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kBlock = 64;

// ---- kernels: a switch plants one fault into a correct one -------------------------------------

enum Plant {
  kNone,
  kNoFirstBarrier,   // reads what other threads are about to write
  kNoSecondBarrier,  // writes what other threads are still reading
  kWrongIndex,       // shared memory, one past the end
  kUnwritten,        // one element of shared memory is never written
  kNoTailGuard,      // threads past n touch global memory
  kNegativeIndex,    // global memory, before the start
  kDivergent,        // half of the block skips a barrier
  kLeaves,           // half of the block ends before a barrier
  kHostPointer,      // memory of the host
  kMisaligned,       // four numbers at once, from an odd place
};

struct alignas(16) Four {
  float x[4];
};

// y[i] = sum of x over the block of i, twice over, so that shared memory is used again.
__global__ void sum_blocks(std::int64_t n, Global<const float> x, Global<float> y, int plant) {
  __shared__ Shared<float, kBlock> tile;
  const auto i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int t = static_cast<int>(threadIdx.x);
  const bool inside = i < n || plant == kNoTailGuard;
  for (int round = 0; round < 2; ++round) {
    if (plant == kLeaves && t >= kBlock / 2) return;
    if (!(plant == kUnwritten && t == 7))
      tile.set(plant == kWrongIndex ? t + 1 : t,
               inside ? x[plant == kNegativeIndex ? i - 1 : i] : 0);
    if (plant != kNoFirstBarrier) __syncthreads();
    float total = 0;
    for (int k = 0; k < kBlock; ++k) total += tile[k];
    if (plant != kNoSecondBarrier && !(plant == kDivergent && t >= kBlock / 2 && round == 1))
      __syncthreads();
    if (inside) y[i] = total;
  }
}

__global__ void four_at_once(Global<const Four> x, Global<float> y) { y[0] = x[0].x[3]; }

__global__ void warp_totals(Global<float> y) {
  const float total = warp_sum(static_cast<float>(threadIdx.x));
  y[threadIdx.x] = total;
}
// Each thread's place among those of its warp whose number is no multiple of 3.
__global__ void places(Global<int> y) {
  const auto t = static_cast<int>(threadIdx.x), lane = t % kWarp;
  const unsigned chosen = lanes_where(lane % 3 != 0);
  y[t] = lane % 3 == 0 ? -first_lane(chosen) : count_lanes(chosen & ((1u << lane) - 1));
}
__global__ void block_totals(Global<float> y) {
  __shared__ Shared<float, 4> room;
  y[threadIdx.x] = block_sum<128>(static_cast<float>(threadIdx.x), room);
}
// Neighbours within a warp hand over through shared memory with a warp barrier only.
__global__ void neighbours(Global<int> y) {
  __shared__ Shared<int, kBlock> tile;
  const int t = static_cast<int>(threadIdx.x);
  tile.set(t, t);
  __syncwarp();
  y[t] = tile[t ^ 1];
}
__global__ void count_up(Global<int> counter) { atomic_add(counter, 1); }
// A race in global memory: the last writer wins. Only another order of threads shows it.
__global__ void last_writer(Global<int> y) { y[0] = static_cast<int>(threadIdx.x); }

// ---- the tests ---------------------------------------------------------------------------------

template <class T>
class Device {
 public:
  explicit Device(std::size_t n)
      : bytes_(n * sizeof(T)), p_(static_cast<T*>(cuda::allocate(0, bytes_))) {}
  ~Device() { cuda::release(0, p_); }
  T* get() const { return p_; }
  std::vector<T> host(cuda::Stream stream) const {
    std::vector<T> out(bytes_ / sizeof(T));
    cuda::copy(stream, out.data(), p_, bytes_, cuda::Direction::kToHost);
    return out;
  }

 private:
  std::size_t bytes_;
  T* p_;
};

std::string error_of(cuda::Stream stream, std::int64_t n, int plant) {
  Device<float> x(static_cast<std::size_t>(n)), y(static_cast<std::size_t>(n));
  std::vector<float> ones(static_cast<std::size_t>(n), 1.0f);
  cuda::copy(stream, x.get(), ones.data(), ones.size() * sizeof(float), cuda::Direction::kToDevice);
  const float* from = plant == kHostPointer ? ones.data() : x.get();
  try {
    if (plant == kMisaligned) {
      cuda::launch(stream, {{1}, {1}}, four_at_once, reinterpret_cast<const Four*>(from + 1),
                   y.get());
    } else {
      cuda::launch(stream, cuda::Grid{{static_cast<unsigned>((n + kBlock - 1) / kBlock)}, {kBlock}},
                   sum_blocks, n, from, y.get(), plant);
    }
    std::vector<float> out = y.host(stream);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t first = i / kBlock * kBlock;
      const auto want = static_cast<float>(std::min<std::int64_t>(kBlock, n - first));
      if (out[static_cast<std::size_t>(i)] != want) return "wrong numbers";
    }
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

void test_faults(cuda::Stream stream) {
  const struct {
    int plant;
    const char* says;
  } faults[] = {
      {kNone, ""},
      {kNoFirstBarrier, ""},  // "no barrier between" or "not written", as the order has it
      {kNoSecondBarrier, "no barrier between"},
      {kWrongIndex, "element 64 of 64 lies outside"},
      {kUnwritten, "element 7 of 64 is read but not written"},
      {kNoTailGuard, "access to 4 bytes at offset"},
      {kNegativeIndex, "access to 4 bytes at offset -4"},
      {kDivergent, "threads of a block wait in __syncthreads"},
      {kLeaves, "32 of 64 threads of a block wait in __syncthreads"},
      {kHostPointer, "no device memory"},
      {kMisaligned, "not aligned to 16"},
  };
  for (std::uint64_t order : {0, 1, 2, 3}) {
    emulation::set_order(order);
    for (const auto& [plant, says] : faults) {
      const std::string error = error_of(stream, 100, plant);
      CHECK((plant == kNone) == error.empty(), "plant %d, order %d: '%s'", plant,
            static_cast<int>(order), error.c_str());
      CHECK(error.find(says) != std::string::npos, "plant %d, order %d: '%s' lacks '%s'", plant,
            static_cast<int>(order), error.c_str(), says);
    }
    CHECK(error_of(stream, 100, kNone).empty(), "a fault is left over");
  }
  emulation::set_order(0);
}

void test_warps(cuda::Stream stream) {
  for (std::uint64_t order : {0, 1, 2, 3}) {
    emulation::set_order(order);
    Device<float> y(128);
    cuda::launch(stream, {{1}, {64}}, warp_totals, y.get());
    const std::vector<float> warps = y.host(stream);
    for (std::size_t i = 0; i < 64; ++i)
      CHECK(warps[i] == (i < 32 ? 496 : 1520), "%zu: %g", i, double{warps[i]});
    cuda::launch(stream, {{1}, {128}}, block_totals, y.get());
    for (float total : y.host(stream)) CHECK(total == 8128, "%g", double{total});
    Device<int> z(kBlock);
    cuda::launch(stream, {{1}, {kBlock}}, neighbours, z.get());
    Device<int> place(kBlock);
    cuda::launch(stream, {{1}, {kBlock}}, places, place.get());
    const std::vector<int> found = place.host(stream);
    for (int i = 0; i < kBlock; ++i) {
      const int lane = i % kWarp, want = lane % 3 == 0 ? -1 : lane - lane / 3 - 1;
      CHECK(found[static_cast<std::size_t>(i)] == want, "%d", i);
    }
    const std::vector<int> swapped = z.host(stream);
    for (int i = 0; i < kBlock; ++i)
      CHECK(swapped[static_cast<std::size_t>(i)] == (i ^ 1), "%d", i);
  }
  emulation::set_order(0);
  Device<float> y(48);
  std::string error;
  try {
    cuda::launch(stream, {{1}, {48}}, warp_totals, y.get());
  } catch (const std::runtime_error& e) {
    error = e.what();
  }
  CHECK(error.find("warp of 16 threads") != std::string::npos, "'%s'", error.c_str());
}

void test_orders(cuda::Stream stream) {
  Device<int> y(1);
  std::vector<int> seen;
  for (std::uint64_t order : {0, 1, 2, 3}) {
    emulation::set_order(order);
    cuda::launch(stream, {{1}, {64}}, last_writer, y.get());
    seen.push_back(y.host(stream)[0]);
  }
  emulation::set_order(0);
  CHECK(seen[0] == 63 && seen[1] == 0 && seen[2] != seen[0], "the orders are the same");
}

void test_graphs(cuda::Stream stream) {
  Device<int> counter(1);
  cuda::fill_zero(stream, counter.get(), sizeof(int));
  cuda::begin_capture(stream);
  cuda::launch(stream, {{2}, {32}}, count_up, counter.get());
  cuda::Graph* graph = cuda::end_capture(stream);
  CHECK(counter.host(stream)[0] == 0, "a captured launch ran");
  for (int i = 0; i < 3; ++i) cuda::launch_graph(stream, graph);
  cuda::destroy_graph(graph);
  CHECK(counter.host(stream)[0] == 192, "%d", counter.host(stream)[0]);
}

void test_memory(cuda::Stream stream) {
  const auto error = [](auto&& f) -> std::string {
    try {
      f();
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  };
  Device<float> x(16);
  std::vector<float> host(17);
  CHECK(!error([&] {
           cuda::copy(stream, x.get(), host.data(), 68, cuda::Direction::kToDevice);
         }).empty(),
        "a copy past the end");
  CHECK(!error([&] {
           cuda::copy(stream, host.data(), x.get() + 1, 64, cuda::Direction::kToHost);
         }).empty(),
        "a copy from past the end");
  // Parts: the second half is not the first one's to touch.
  Device<float> arena(128);
  cuda::mark_part(arena.get(), 256);
  cuda::mark_part(arena.get() + 64, 256);
  cuda::copy(stream, arena.get(), std::vector<float>(128).data(), 512, cuda::Direction::kToDevice);
  const auto sum = [&](std::int64_t n) {
    cuda::launch(stream, {{static_cast<unsigned>(n / kBlock)}, {kBlock}}, sum_blocks, n,
                 arena.get(), arena.get() + 64, static_cast<int>(kNone));
  };
  CHECK(error([&] { sum(64); }).empty(), "a part is its own");
  CHECK(error([&] { sum(128); }).find("offset 256 of 256") != std::string::npos, "past a part");
  cuda::forget_parts(arena.get(), 512);
  auto* guarded = static_cast<float*>(cuda::allocate(0, 40));
  emulation::on_host(guarded)[10] = 1;
  CHECK(error([&] { cuda::release(0, guarded); }).find("behind an allocation of 40 bytes") !=
            std::string::npos,
        "a guard zone that was written to");
  CHECK(cuda::allocate(0, std::size_t{1} << 50) == nullptr, "too much memory");
}

// ---- two streams -------------------------------------------------------------------------------

enum Missing {  // a wait that is left out
  kComplete,
  kCopiedBeforeUse,    // the kernel waits for the copy of its input
  kUsedBeforeCopy,     // the copy waits for the kernel that reads what was there
  kSentBeforeRefill,   // the host waits for the copy out of pinned memory
  kMadeBeforeFetch,    // the copy of a result waits for its kernel
  kFetchedBeforeMade,  // the next kernel waits for the copy of the result that was there
  kFetchedBeforeRead,  // the host waits for the copy into pinned memory
};

__global__ void twice(int n, Global<const float> x, Global<float> y) {
  if (static_cast<int>(threadIdx.x) < n) y[threadIdx.x] = 2 * x[threadIdx.x];
}

class Pinned {
 public:
  Pinned() : p_(static_cast<float*>(cuda::allocate_pinned(0, kBlock * sizeof(float)))) {}
  ~Pinned() { cuda::release_pinned(p_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  float* get() const { return p_; }

 private:
  float* p_;
};

class Moment {
 public:
  ~Moment() { cuda::destroy_event(event); }
  cuda::Event* const event = cuda::create_event(0);
};

constexpr std::size_t kPartBytes = kBlock * sizeof(float);
constexpr int kPartCount = 6;

// Parts go through two places, copied beside the kernels: whether all results are right.
bool feeds(cuda::Stream stream, cuda::Stream side, int missing) {
  Device<float> x[2] = {Device<float>(kBlock), Device<float>(kBlock)};
  Device<float> y(kBlock * kPartCount);
  const Pinned from[2];
  const Moment copied[2], used[2];
  for (int k = 0; k < kPartCount; ++k) {
    const int i = k % 2;
    if (missing != kSentBeforeRefill) cuda::wait(copied[i].event);
    std::fill_n(from[i].get(), kBlock, static_cast<float>(k));
    if (missing != kUsedBeforeCopy) cuda::wait(side, used[i].event);
    cuda::copy(side, x[i].get(), from[i].get(), kPartBytes, cuda::Direction::kToDevice);
    cuda::record(side, copied[i].event);
    if (missing != kCopiedBeforeUse) cuda::wait(stream, copied[i].event);
    cuda::launch(stream, {{1}, {kBlock}}, twice, kBlock, static_cast<const float*>(x[i].get()),
                 y.get() + k * kBlock);
    cuda::record(stream, used[i].event);
  }
  const std::vector<float> out = y.host(stream);
  cuda::synchronize(side);
  for (int i = 0; i < kBlock * kPartCount; ++i) {
    const int part = i / kBlock;
    if (out[static_cast<std::size_t>(i)] != 2 * static_cast<float>(part)) return false;
  }
  return true;
}

// Results leave two places in the same way.
bool fetches(cuda::Stream stream, cuda::Stream side, int missing) {
  Device<float> x(kBlock * kPartCount), y[2] = {Device<float>(kBlock), Device<float>(kBlock)};
  std::vector<float> numbers(kBlock * kPartCount);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  cuda::copy(stream, x.get(), numbers.data(), kPartBytes * kPartCount, cuda::Direction::kToDevice);
  const Pinned to[kPartCount];
  const Moment made[2], fetched[2];
  for (int k = 0; k < kPartCount; ++k) {
    const int i = k % 2;
    if (missing != kFetchedBeforeMade) cuda::wait(stream, fetched[i].event);
    cuda::launch(stream, {{1}, {kBlock}}, twice, kBlock,
                 static_cast<const float*>(x.get() + k * kBlock), y[i].get());
    cuda::record(stream, made[i].event);
    if (missing != kMadeBeforeFetch) cuda::wait(side, made[i].event);
    cuda::copy(side, to[k].get(), y[i].get(), kPartBytes, cuda::Direction::kToHost);
    cuda::record(side, fetched[i].event);
  }
  if (missing != kFetchedBeforeRead)
    for (const Moment& one : fetched) cuda::wait(one.event);
  bool right = true;
  for (int i = 0; i < kBlock * kPartCount; ++i)
    right = right && to[i / kBlock].get()[i % kBlock] == 2 * numbers[static_cast<std::size_t>(i)];
  cuda::synchronize(side);
  cuda::synchronize(stream);
  return right;
}

// The complete protocol is right under every seed; each wait that it lacks shows under one of the
// first three.
void test_streams(cuda::Stream stream) {
  cuda::Stream side = cuda::create_stream(0);
  for (int missing = kComplete; missing <= kFetchedBeforeRead; ++missing) {
    int caught = 0;
    for (std::uint64_t order : {0, 1, 2, 3, 4, 5}) {
      emulation::set_order(order);
      const bool in = feeds(stream, side, missing), out = fetches(stream, side, missing);
      if (missing == kComplete) CHECK(in && out, "seed %d", static_cast<int>(order));
      if (order < 3) caught += !in || !out ? 1 : 0;
    }
    if (missing != kComplete) CHECK(caught > 0, "the wait %d is not missed", missing);
  }
  emulation::set_order(0);
  cuda::destroy_stream(side);
}

// Memory that is given back while another stream still copies to it.
void test_release_too_early(cuda::Stream stream) {
  cuda::Stream side = cuda::create_stream(0);
  std::string error;
  const Pinned from;
  {
    const Device<float> x(kBlock);
    cuda::copy(side, x.get(), from.get(), kPartBytes, cuda::Direction::kToDevice);
  }
  try {
    cuda::synchronize(side);
  } catch (const std::runtime_error& e) {
    error = e.what();
  }
  CHECK(error.find("does not fit into device memory") != std::string::npos, "'%s'", error.c_str());
  cuda::destroy_stream(side);
  cuda::synchronize(stream);
}

void test_counts(cuda::Stream stream) {
  const Device<float> x(kBlock);
  const Pinned pinned;
  std::vector<float> pageable(kBlock);
  const emulation::Counts before = emulation::counts();
  cuda::copy(stream, x.get(), pinned.get(), kPartBytes, cuda::Direction::kToDevice);
  cuda::copy(stream, pinned.get(), x.get(), kPartBytes, cuda::Direction::kToHost);
  const emulation::Counts between = emulation::counts();
  CHECK(between.to_device == before.to_device + 1 && between.to_host == before.to_host + 1,
        "copies");
  CHECK(between.waits == before.waits, "pinned copies do not wait");
  cuda::copy(stream, pageable.data(), x.get(), kPartBytes, cuda::Direction::kToHost);
  CHECK(emulation::counts().waits == between.waits + 1, "a copy to other memory waits");
  cuda::synchronize(stream);
  CHECK(emulation::counts().waits == between.waits + 2, "so does synchronize");
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  cuda::Stream stream = cuda::create_stream(0);
  test_faults(stream);
  test_warps(stream);
  test_orders(stream);
  test_graphs(stream);
  test_memory(stream);
  test_streams(stream);
  test_release_too_early(stream);
  test_counts(stream);
  cuda::destroy_stream(stream);
  if (failures == 0) std::printf("cuda_emulation: passed\n");
  return failures == 0 ? 0 : 1;
}
