// What this machine can do, asked by the benchmarks. Compiled at run time for the very CPU it
// runs on, so that the limit is the machine's and not a build's. Reads one command a line from
// stdin and answers with one number a line:
//   clock                  GHz, from a chain of dependent one-cycle instructions
//   peak THREADS           GFLOP/s of float32 fused multiply-add
//   barrier                ns of one barrier between two spinning threads
//   copy THREADS BYTES     GB/s of y = x over BYTES in all, read and write both counted
//   update THREADS BYTES   GB/s of y += x likewise: two reads and a write
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kChains = 24;  // 2 units x 4 cycles needs 8; registers are 32
#elif defined(__AVX__)
constexpr int kLanes = 8;
constexpr int kChains = 12;
#else
constexpr int kLanes = 4;
constexpr int kChains = 12;
#endif
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs body(thread) on all threads at once and returns the seconds of the slowest.
double run_together(int threads, const std::function<void(int)>& body) {
  std::atomic<int> ready{0};
  std::vector<double> spent(threads);
  auto work = [&](int id) {
    ready.fetch_add(1);
    while (ready.load(std::memory_order_acquire) < threads) {
    }
    auto start = Clock::now();
    body(id);
    spent[id] = seconds_since(start);
  };
  std::vector<std::thread> team;
  for (int id = 1; id < threads; ++id) team.emplace_back(work, id);
  work(0);
  for (auto& member : team) member.join();
  return *std::max_element(spent.begin(), spent.end());
}

void fma_chains(long rounds) {
  Lanes sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = Lanes{} + 1.0f * i;
  Lanes a = Lanes{} + 1.0f, b = Lanes{} + 1e-9f;
  asm volatile("" : "+m"(a), "+m"(b));
  Lanes scale = a, add = b;
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * scale + add;
  }
  for (int i = 0; i < kChains; ++i) asm volatile("" : : "m"(sum[i]));
}

double peak(int threads) {
  const long rounds = 100000;
  const double flop = 2.0 * kLanes * kChains * rounds * threads;
  double best = 0;
  for (int repeat = 0; repeat < 12; ++repeat) {
    best = std::max(best, flop / run_together(threads, [&](int) { fma_chains(rounds); }));
  }
  return best / 1e9;
}

double clock_ghz() {
  const long rounds = 200000;
  double best = 0;
  for (int repeat = 0; repeat < 12; ++repeat) {
    std::uint64_t value = 0, other = 1;
    auto start = Clock::now();
    for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
#if defined(__x86_64__)
        asm volatile("xor %1, %0"
                     : "+r"(value)
                     : "r"(other));  // an added constant may cost nothing
#elif defined(__aarch64__)
        asm volatile("eor %0, %0, %1" : "+r"(value) : "r"(other));
#else
        value ^= other;
        asm volatile("" : "+r"(value));
#endif
      }
    }
    best = std::max(best, 16.0 * rounds / seconds_since(start));
  }
  return best / 1e9;
}

// The median of many short runs: one run that lost its core must not count.
double barrier_ns() {
  alignas(128) std::atomic<std::uint64_t> first{0};
  alignas(128) std::atomic<std::uint64_t> second{0};
  const int count = 1000;
  const int runs = 15;
  std::vector<double> results;
  run_together(2, [&](int id) {
    auto& mine = id == 0 ? first : second;
    auto& other = id == 0 ? second : first;
    std::uint64_t turn = 0;
    for (int run = 0; run < runs; ++run) {
      auto start = Clock::now();
      for (int i = 0; i < count; ++i) {
        mine.store(++turn, std::memory_order_release);
        while (other.load(std::memory_order_acquire) < turn) {
        }
      }
      if (id == 0) results.push_back(seconds_since(start) / count * 1e9);
    }
  });
  std::sort(results.begin(), results.end());
  return results[results.size() / 2];
}

char* allocate(std::size_t size) {
  void* memory = std::aligned_alloc(std::size_t{1} << 21, size);
#if defined(__linux__)
  if (memory != nullptr) madvise(memory, size, MADV_HUGEPAGE);  // as NumPy asks for its arrays
#endif
  return static_cast<char*>(memory);
}

double bandwidth_gbs(int threads, std::size_t bytes, bool update) {
  const std::size_t block = std::size_t{1} << 21;
  const std::size_t count = std::max<std::size_t>(1, bytes / 2 / threads / block) * block;
  std::vector<char*> from(threads), to(threads);
  for (int id = 0; id < threads; ++id) {
    from[id] = allocate(count);
    to[id] = allocate(count);
    if (from[id] == nullptr || to[id] == nullptr) return 0;
  }
  run_together(threads, [&](int id) {
    std::memset(from[id], 0, count);
    std::memset(to[id], 0, count);
  });
  std::vector<double> results;
  for (int repeat = 0; repeat < 9; ++repeat) {
    double spent = run_together(threads, [&](int id) {
      auto* x = reinterpret_cast<const Lanes*>(from[id]);
      auto* y = reinterpret_cast<Lanes*>(to[id]);
      const std::size_t vectors = count / sizeof(Lanes);
      for (std::size_t i = 0; i < vectors; ++i) {
        y[i] = update ? y[i] + x[i] : x[i];
        asm volatile("" : : : "memory");  // keeps it a loop of plain stores, not memcpy
      }
    });
    results.push_back((update ? 3.0 : 2.0) * count * threads / spent / 1e9);
  }
  for (int id = 0; id < threads; ++id) {
    std::free(from[id]);
    std::free(to[id]);
  }
  std::sort(results.begin(), results.end());
  return results[results.size() / 2];
}

}  // namespace

int main() {
  char line[256];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    char word[32] = "";
    int threads = 1;
    unsigned long long bytes = 0;
    std::sscanf(line, "%31s %d %llu", word, &threads, &bytes);
    double answer = 0;
    if (std::strcmp(word, "clock") == 0) answer = clock_ghz();
    if (std::strcmp(word, "peak") == 0) answer = peak(threads);
    if (std::strcmp(word, "barrier") == 0) answer = barrier_ns();
    if (std::strcmp(word, "copy") == 0) answer = bandwidth_gbs(threads, bytes, false);
    if (std::strcmp(word, "update") == 0) answer = bandwidth_gbs(threads, bytes, true);
    if (std::strcmp(word, "lanes") == 0) answer = kLanes;
    std::printf("%.6g\n", answer);
    std::fflush(stdout);
  }
}
