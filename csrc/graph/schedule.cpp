// Barriers only where data crosses threads: every stage runs in the earliest interval it may.
#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "graph/stage.h"

namespace densa {
namespace {

// May two stages that conflict on a buffer run without a barrier between them?
bool stays_local(const Stage& a, const Access& access_a, const Stage& b, const Access& access_b) {
  if (access_a.local) return true;
  if (!cut_alike(a, b)) return false;
  return a.split == Split::kOne || (access_a.own && access_b.own);
}

}  // namespace

bool cut_alike(const Stage& a, const Stage& b) {
  if (a.split != b.split) return false;
  const bool by_rows = a.split == Split::kRows || a.split == Split::kTiles;
  if (by_rows && !(a.cut_rows == b.cut_rows)) return false;
  return a.split == Split::kOne || a.split == Split::kEach || a.units == b.units;
}

Schedule schedule(const std::vector<StagePtr>& stages) {
  struct Past {
    int stage;
    Access access;
  };
  Schedule result;
  result.interval_of.assign(stages.size(), 0);
  std::unordered_map<int, std::vector<Past>> history;
  int intervals = 0;
  for (int i = 0; i < static_cast<int>(stages.size()); ++i) {
    int& interval = result.interval_of[i];
    for (const Access& access : stages[i]->accesses)
      for (const Past& past : history[access.buffer]) {
        if (past.stage == i || (!past.access.write && !access.write)) continue;
        const bool local = stays_local(*stages[past.stage], past.access, *stages[i], access);
        interval = std::max(interval, result.interval_of[past.stage] + (local ? 0 : 1));
      }
    for (const Access& access : stages[i]->accesses) history[access.buffer].push_back({i, access});
    intervals = std::max(intervals, interval + 1);
  }

  result.intervals.resize(intervals);
  for (int i = 0; i < static_cast<int>(stages.size()); ++i) {
    auto& groups = result.intervals[result.interval_of[i]];
    Stage& stage = *stages[i];
    if (groups.empty() || !cut_alike(*groups.back().front(), stage)) groups.emplace_back();
    groups.back().push_back(&stage);
  }
  return result;
}

}  // namespace densa
