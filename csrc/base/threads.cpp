#include "base/threads.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/alone.h"

namespace densa {
namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `value` is no longer `old`: first spinning, then spinning and offering the core to
// others, then parked. The offer is for the thread we wait for: a scheduler may have put both on
// one core, where a plain spin burns the very time slice the other one needs. The spin is bounded,
// but long against a wake-up: threads that keep waking each other would all be late for the next
// barrier, and park there again.
void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kAlone = std::chrono::microseconds(10);
  constexpr auto kSpin = std::chrono::microseconds(300);
  for (int i = 0; i < 200; ++i)
    if (value.load(std::memory_order_acquire) != old) return;
  const Clock::time_point begin = Clock::now();
  for (Clock::duration waited{}; waited < kSpin; waited = Clock::now() - begin) {
    for (int i = 0; i < 50; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
    if (waited > kAlone) std::this_thread::yield();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

int positive_number(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return 0;
  const long n = std::strtol(text, nullptr, 10);
  return n > 0 ? static_cast<int>(std::min<long>(n, kMaxThreads)) : 0;
}

int cgroup_threads() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return kMaxThreads;
  const double cpus = std::strtod(quota.c_str(), nullptr) / period;
  return std::max(1, static_cast<int>(std::lround(cpus)));
}

int count_available() {
  int n = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
  n = std::min(std::max(n, 1), cgroup_threads());
  for (const char* variable : {"DENSA_NUM_THREADS", "OMP_NUM_THREADS"})
    if (const int wanted = positive_number(variable)) return std::min(n, wanted);
  return std::min(n, kMaxThreads);
}

thread_local bool inside_team = false;

class Pool {
 public:
  void run(int threads, TeamBody body, void* context) {
    grow(threads - 1);
    Team team(threads);
    job_ = {body, context, &team};
    running_.store(static_cast<std::uint32_t>(threads - 1), std::memory_order_relaxed);
    // One word holds the call's number and its size: a worker that wakes late can never pair the
    // size of one call with the number of another.
    const std::uint32_t call = epoch_.load(std::memory_order_relaxed) / kEpochStep + 1;
    epoch_.store(call * kEpochStep + static_cast<std::uint32_t>(threads),
                 std::memory_order_release);
    epoch_.notify_all();
    inside_team = true;
    body(context, team, 0);
    inside_team = false;
    for (std::uint32_t left = running_.load(std::memory_order_acquire); left != 0;
         left = running_.load(std::memory_order_acquire))
      wait_while(running_, left);
  }

 private:
  struct Job {
    TeamBody body;
    void* context;
    Team* team;
  };

  void grow(int workers) {
    while (static_cast<int>(workers_.size()) < workers) {
      const int thread = static_cast<int>(workers_.size()) + 1;
      const std::uint32_t epoch = epoch_.load(std::memory_order_relaxed);
      workers_.emplace_back([this, thread, epoch] { work(thread, epoch); });
      workers_.back().detach();
    }
  }

  void work(int thread, std::uint32_t seen) {
    inside_team = true;
    for (;;) {
      wait_while(epoch_, seen);
      seen = epoch_.load(std::memory_order_acquire);
      // The job cannot change before every member has counted itself out of `running_`; a worker
      // that is no member reads nothing else.
      if (thread >= static_cast<int>(seen % kEpochStep)) continue;
      job_.body(job_.context, *job_.team, thread);
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_all();
    }
  }

  static constexpr std::uint32_t kEpochStep = 512;
  static_assert(kMaxThreads < kEpochStep);

  std::vector<std::thread> workers_;
  Job job_{};
  alignas(128) std::atomic<std::uint32_t> epoch_{0};
  alignas(128) std::atomic<std::uint32_t> running_{0};
};

// The pool outlives everything: its threads are parked at exit, never joined. A forked child has no
// such threads, so it forgets the parent's pool and makes a new one.
struct PoolSlot {
  std::mutex busy;
  std::unique_ptr<Pool> pool = std::make_unique<Pool>();
};
std::atomic<PoolSlot*> slot{nullptr};

PoolSlot& pool_slot() {
  PoolSlot* current = slot.load(std::memory_order_acquire);
  if (current != nullptr) return *current;
  static std::once_flag handler;
  std::call_once(handler, [] {
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] {
      slot.store(nullptr, std::memory_order_release);
      inside_team = false;
    });
#endif
  });
  auto fresh = std::make_unique<PoolSlot>();
  if (slot.compare_exchange_strong(current, fresh.get(), std::memory_order_acq_rel))
    return *fresh.release();
  return *current;
}

std::atomic<int> limit_threads{0};
std::atomic<bool> limit_exact{false};

}  // namespace

int available_threads() {
  static const int n = count_available();
  return n;
}

ThreadLimit thread_limit() {
  const int n = limit_threads.load(std::memory_order_relaxed);
  return {n > 0 ? n : available_threads(), limit_exact.load(std::memory_order_relaxed)};
}

void set_thread_limit(ThreadLimit limit) {
  limit_threads.store(std::clamp(limit.threads, 1, kMaxThreads), std::memory_order_relaxed);
  limit_exact.store(limit.exact, std::memory_order_relaxed);
}

void Barrier::wait() {
  const std::uint32_t generation = generation_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<std::uint32_t>(size_)) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    return;
  }
  wait_while(generation_, generation);
}

RunAlone::RunAlone() : outer_(std::exchange(inside_team, true)) {}
RunAlone::~RunAlone() { inside_team = outer_; }

void run_team(int threads, TeamBody body, void* context) {
  if (threads > 1 && !inside_team) {
    PoolSlot& pool = pool_slot();
    if (std::unique_lock lock(pool.busy, std::try_to_lock); lock.owns_lock()) {
      pool.pool->run(std::min(threads, kMaxThreads), body, context);
      return;
    }
  }
  const RunAlone alone;
  Team team(1);
  body(context, team, 0);
}

}  // namespace densa
