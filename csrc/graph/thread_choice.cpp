#include "graph/thread_choice.h"

#include <algorithm>

namespace densa {
namespace {

constexpr double kChunkSeconds = 0.01;  // between looks at the clock
constexpr double kLookSeconds = 0.001;  // half a look at the other number of threads

}  // namespace

ThreadChoice::Next ThreadChoice::next(int limit, bool exact) const {
  if (exact || limit <= 1) return {limit, kChunkSeconds};
  return looking() ? Next{many_ ? 1 : limit, kLookSeconds} : Next{many_ ? limit : 1, kChunkSeconds};
}

void ThreadChoice::record(int threads, double seconds, std::int64_t steps) {
  const double per_step = seconds / static_cast<double>(steps);
  const bool many = threads > 1;
  double& known = best_[many];
  if (many == many_) {
    since_look_ += seconds;
    // Faster counts at once, slower by and by: a slow chunk is more often a busy machine.
    known = known == 0 || per_step < known ? per_step : known + 0.25 * (per_step - known);
    return;
  }
  // The first half of a look wakes threads and fills caches; the faster half counts. Steps longer
  // than that do not notice.
  const bool brief = seconds < 5 * kLookSeconds;
  if (glance_ == 0 && brief) {
    glance_ = per_step;
    return;
  }
  known = glance_ == 0 ? per_step : std::min(glance_, per_step);
  glance_ = since_look_ = 0;
  if (best_[many_] > 0 && known < best_[many_]) {
    many_ = many;
    patience_ = kShortest;
  } else {
    patience_ = std::max(std::min(2 * patience_, kLongest), 25 * seconds);
  }
}

}  // namespace densa
