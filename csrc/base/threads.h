// One pool of threads for the whole process.
//
// A team is a region in which `size` threads run the same function, the caller being thread 0.
// Waits spin briefly and then park, so an idle process uses no CPU. The pool serves one caller at a
// time: a second caller (another Python thread) does not wait, it runs its region alone. After fork
// the child starts a pool of its own.
#pragma once
#include <atomic>
#include <cstdint>
#include <type_traits>

namespace densa {

// What the machine gives this process: CPU affinity and cgroup quota, lowered by DENSA_NUM_THREADS
// or OMP_NUM_THREADS.
int available_threads();

struct ThreadLimit {
  int threads;  // at most this many, or
  bool exact;   // exactly this many, even where fewer would be faster or the machine has fewer
};
ThreadLimit thread_limit();
void set_thread_limit(ThreadLimit limit);  // threads >= 1, at most kMaxThreads
inline constexpr int kMaxThreads = 256;

// The meeting point of a team. Reusable; every member must arrive.
class Barrier {
 public:
  explicit Barrier(int size) : size_(size) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  void wait();
  int size() const { return size_; }

 private:
  const int size_;
  alignas(128) std::atomic<std::uint32_t> arrived_{0};
  alignas(128) std::atomic<std::uint32_t> generation_{0};
};

class Team {
 public:
  explicit Team(int size) : barrier_(size) {}
  int size() const { return barrier_.size(); }
  void wait() {
    if (barrier_.size() > 1) barrier_.wait();
  }

 private:
  Barrier barrier_;
};

// Runs body(team, thread) on `threads` threads and returns when all have ended. The team may turn
// out smaller (down to 1) when the pool is busy or this thread already is in a team: read
// team.size(). The body must not throw.
using TeamBody = void (*)(void* context, Team& team, int thread);
void run_team(int threads, TeamBody body, void* context);

template <class F>
void run_team(int threads, F&& body) {
  using Body = std::remove_reference_t<F>;
  run_team(
      threads,
      [](void* context, Team& team, int thread) { (*static_cast<Body*>(context))(team, thread); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// The part of [0, n) that belongs to `thread` of `threads`: contiguous, sizes differ by at most
// one.
struct Range {
  std::int64_t begin, end;
};
constexpr Range share(std::int64_t n, int thread, int threads) {
  return {n * thread / threads, n * (thread + 1) / threads};
}

// Calls body(begin, end) over [0, n), split over threads when n / grain allows more than one part.
// Where it splits never changes a result: body must treat its elements independently.
template <class F>
void parallel_for(std::int64_t n, std::int64_t grain, F&& body) {
  const std::int64_t parts = grain > 0 ? n / grain : n;
  const ThreadLimit limit = thread_limit();
  const int threads = static_cast<int>(parts < limit.threads ? parts : limit.threads);
  if (threads <= 1) {
    if (n > 0) body(std::int64_t{0}, n);
    return;
  }
  run_team(threads, [&](Team& team, int thread) {
    const Range range = share(n, thread, team.size());
    if (range.begin < range.end) body(range.begin, range.end);
  });
}

}  // namespace densa
