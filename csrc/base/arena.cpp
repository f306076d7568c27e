#include "base/arena.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace densa {

ArenaPlan place_buffers(const std::vector<BufferLife>& buffers) {
  constexpr std::size_t kLine = 128;
  ArenaPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  std::vector<int> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<int> placed;
  for (int b : order) {
    const BufferLife& life = buffers[b];
    if (life.last < life.first) continue;
    const std::size_t bytes = (life.bytes + kLine - 1) / kLine * kLine;
    // The lowest gap between placed buffers that live at the same time.
    std::vector<std::pair<std::size_t, std::size_t>> taken;
    for (int other : placed)
      if (buffers[other].first <= life.last && life.first <= buffers[other].last)
        taken.emplace_back(plan.offsets[other], plan.offsets[other] + buffers[other].bytes);
    std::sort(taken.begin(), taken.end());
    std::size_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + bytes <= begin) break;
      at = std::max(at, (end + kLine - 1) / kLine * kLine);
    }
    plan.offsets[b] = at;
    plan.bytes = std::max(plan.bytes, at + bytes);
    placed.push_back(b);
  }
  return plan;
}

}  // namespace densa
