// The thread pool: teams, barriers, a second caller, fork. Exit code 1 on failure. Run under TSan
// by the long checks.
#include "base/threads.h"
#include "base/sanitizers.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

namespace {

int failures = 0;

void expect(bool ok, const char* what) {
  if (ok) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

// Every member arrives at each round before anybody leaves it.
void barriers(int threads, int rounds) {
  std::vector<int> seen(threads, 0);
  std::atomic<int> wrong{0};
  densa::run_team(threads, [&](densa::Team& team, int thread) {
    for (int round = 1; round <= rounds; ++round) {
      seen[thread] = round;
      team.wait();
      for (int other = 0; other < team.size(); ++other)
        if (seen[other] != round) ++wrong;
      team.wait();
    }
  });
  expect(wrong == 0, "a barrier lets nobody through early");
}

void shares() {
  for (int threads = 1; threads <= 5; ++threads)
    for (std::int64_t n = 0; n < 20; ++n) {
      std::int64_t next = 0;
      for (int t = 0; t < threads; ++t) {
        const densa::Range r = densa::share(n, t, threads);
        expect(r.begin == next && r.end >= r.begin, "shares follow each other");
        next = r.end;
      }
      expect(next == n, "shares cover everything");
    }
}

void sizes_change() {
  // Teams of changing size, back to back: a worker that wakes late must not run a call twice.
  for (int i = 0; i < 2000; ++i) {
    std::atomic<int> ran{0};
    const int threads = 1 + i % 4;
    densa::run_team(threads, [&](densa::Team&, int) { ++ran; });
    expect(ran == threads, "every member runs once");
  }
}

void nested_runs_alone() {
  std::atomic<int> inner_sizes{0};
  densa::run_team(2, [&](densa::Team&, int) {
    densa::run_team(2, [&](densa::Team& inner, int) { inner_sizes += inner.size(); });
  });
  expect(inner_sizes == 2, "a team inside a team has one member");
}

void many_callers() {
  std::atomic<long> sum{0};
  std::vector<std::thread> callers;
  callers.reserve(4);
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        densa::parallel_for(1000, 10, [&](std::int64_t begin, std::int64_t end) {
          sum += static_cast<long>(end - begin);
        });
    });
  for (std::thread& caller : callers) caller.join();
  expect(sum == 4 * 200 * 1000, "callers that come together each get all of their work done");
}

void forked() {
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> ran{0};
    densa::run_team(2, [&](densa::Team& team, int) {
      ++ran;
      team.wait();
    });
    _exit(ran == 2 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child has a pool of its own");
}

}  // namespace

int main() {
  densa::set_thread_limit({3, true});
  shares();
  for (int threads : {1, 2, 3, 4}) barriers(threads, 500);
  sizes_change();
  nested_runs_alone();
  many_callers();
#if !DENSA_TSAN
  forked();  // TSan does not follow threads made after a fork
#endif
  std::printf("threads: %d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
