// How a plan chooses between one thread and all, on simulated times.
#include "graph/thread_choice.h"

#include <cstdint>
#include <cstdio>
#include <initializer_list>

namespace {

int failures = 0;

#define CHECK(condition, ...)               \
  do {                                      \
    if (!(condition)) {                     \
      std::printf("%s: ", #condition);      \
      std::printf(__VA_ARGS__), ++failures; \
    }                                       \
  } while (0)

struct Share {
  double one = 0, many = 0;  // simulated seconds spent with each
};

// Steps of `one` or `many` seconds, for `seconds` in all.
Share simulate(densa::ThreadChoice& choice, double one, double many, double seconds) {
  Share spent;
  while (spent.one + spent.many < seconds) {
    const densa::ThreadChoice::Next next = choice.next(2, false);
    const double step = next.threads == 1 ? one : many;
    const auto steps = static_cast<std::int64_t>(next.seconds / step) + 1;
    choice.record(next.threads, step * static_cast<double>(steps), steps);
    (next.threads == 1 ? spent.one : spent.many) += step * static_cast<double>(steps);
  }
  return spent;
}

}  // namespace

int main() {
  for (const double step : {20e-6, 1e-3, 30e-3}) {
    densa::ThreadChoice choice;
    Share spent = simulate(choice, step, 0.6 * step, 20);
    CHECK(spent.one < 0.05 * 20, "looks at the slower cost %g s of 20\n", spent.one);
    spent = simulate(choice, step, 3 * step, 20);  // the other cores have gone
    CHECK(spent.many < 2.5, "%g s of 20 with the slower, after a change\n", spent.many);
    spent = simulate(choice, step, 0.6 * step, 20);  // and come back
    CHECK(spent.one < 2.5, "%g s of 20 with the slower, after a change back\n", spent.one);
  }
  // A cold start decides for a moment only.
  densa::ThreadChoice choice;
  choice.record(2, 5e-3, 1);
  for (int half = 0; half < 2; ++half) choice.record(1, 1e-4, 1);
  const Share spent = simulate(choice, 1e-4, 6e-5, 5);
  CHECK(spent.many > 4.5, "only %g s of 5 with the faster after a cold start\n", spent.many);

  CHECK(choice.next(3, true).threads == 3, "an exact number is not obeyed\n");
  CHECK(choice.next(1, false).threads == 1, "more threads than the limit\n");
  if (failures == 0) std::printf("thread_choice: passed\n");
  return failures == 0 ? 0 : 1;
}
