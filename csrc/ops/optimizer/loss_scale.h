// Dynamic loss scaling: losses are multiplied by a scale so that small gradients do not vanish in
// 16 bits. A step whose gradients are not all finite changes nothing and halves the scale; after
// `growth_steps` good ones in a row it is doubled.
#pragma once
#include <cstdint>

#include "base/pod.h"

namespace densa {

struct LossScale {
  float scale;
  std::int32_t good_steps;
};

DENSA_ALWAYS_INLINE LossScale after_step(LossScale now, bool finite, std::int64_t growth_steps) {
  if (!finite) return {now.scale * 0.5f, 0};
  if (now.good_steps + 1 < growth_steps) return {now.scale, now.good_steps + 1};
  const float twice = now.scale * 2;
  return {twice - twice == 0 ? twice : now.scale, 0};
}

}  // namespace densa
