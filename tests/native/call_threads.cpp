// How a predictor's calls choose between one thread and all, on simulated times: a thread that the
// call before did not use has to be woken.
#include "predict/call_threads.h"

#include <cstdint>

#include "check.h"

namespace {

constexpr double kWake = 50e-6;

class Calls {
 public:
  // How many of `count` calls ran on one thread.
  int run(int count, double one, double many, std::int64_t rows = 32) {
    int alone = 0;
    for (int i = 0; i < count; ++i) {
      const int threads = choice_.pick(rows, 2);
      choice_.record(rows, threads, threads == 1 ? one : many + (awake_ ? 0 : kWake));
      awake_ = threads > 1;
      alone += threads == 1 ? 1 : 0;
    }
    return alone;
  }
  densa::CallThreads& choice() { return choice_; }

 private:
  densa::CallThreads choice_;
  bool awake_ = false;
};

}  // namespace

int main() {
  using densa::failures;
  Calls calls;
  int alone = calls.run(40, 70e-6, 40e-6);
  CHECK(alone <= 12, "%d of the first 40 calls on one thread, which is slower", alone);
  alone = calls.run(10000, 70e-6, 40e-6);
  CHECK(alone > 0 && alone < 100, "%d of 10000 calls on one thread", alone);
  alone = calls.run(10000, 70e-6, 200e-6);  // the other cores have gone
  CHECK(alone > 9500, "%d of 10000 calls on one thread, after a change", alone);
  alone = calls.run(10000, 70e-6, 40e-6);  // and come back
  CHECK(alone < 2000, "%d of 10000 calls on one thread, after a change back", alone);

  Calls small;
  alone = small.run(1000, 5e-6, 6e-6);
  CHECK(alone > 950, "%d of 1000 calls on one thread, which is faster", alone);
  alone = small.run(1000, 70e-6, 40e-6, 1024);
  CHECK(alone < 50, "what 32 rows taught is taken for 1024: %d of 1000", alone);
  CHECK(small.choice().pick(32, 1) == 1, "more threads than there are");
  if (failures == 0) std::printf("call_threads: passed\n");
  return failures == 0 ? 0 : 1;
}
