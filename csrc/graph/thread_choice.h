// Chooses how many threads to use by timing the steps as they run: one thread against all. The
// better one runs; the other is looked at again after a while that doubles each time it loses.
#pragma once
#include <cstdint>

namespace densa {

class ThreadChoice {
 public:
  struct Next {
    int threads;
    double seconds;  // how long the next chunk of steps should take
  };
  Next next(int limit, bool exact) const;
  void record(int threads, double seconds, std::int64_t steps);

 private:
  bool looking() const { return since_look_ >= patience_; }
  bool many_ = true;             // the present choice
  double best_[2] = {0, 0};      // seconds per step of one thread and of all; 0: not yet timed
  double glance_ = 0;            // seconds per step in the first half of a look; 0: not in one
  double since_look_ = 0;        // seconds
  double patience_ = kShortest;  // until the next look
  static constexpr double kShortest = 0.02, kLongest = 0.25;
};

}  // namespace densa
