// Which draw a random op makes. Attribute `step` counts the draws of one seed and stream; -1 stands
// for the plan's step. A generator that a step uses several times gives each of its ops the
// attributes `every` (how many there are) and `use` (which one it is), so that their draws differ
// and come in the order of eager calls.
#pragma once
#include <cstdint>

#include "base/pod.h"
#include "ops/op.h"

namespace densa {

struct Draw {
  std::int64_t step = -1, every = 1, use = 0;
  DENSA_HD std::uint64_t at(std::int64_t plan_step) const {
    return static_cast<std::uint64_t>(step < 0 ? plan_step * every + use : step);
  }
};

// Throws ValueError naming `op` for numbers that mean nothing.
inline Draw draw_of(const Attrs& attrs, const char* op) {
  const Draw draw{attrs.get_int("step", -1), attrs.get_int("every", 1), attrs.get_int("use", 0)};
  if (draw.step < -1)
    throw ValueError(
        cat(op, ": step must be at least 0, or -1 for the plan's step, but is ", draw.step));
  if (draw.every < 1 || draw.use < 0 || draw.use >= draw.every)
    throw ValueError(
        cat(op, ": use must lie in 0 ... every - 1 but is ", draw.use, " of ", draw.every));
  return draw;
}

}  // namespace densa
