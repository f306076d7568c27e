#include "cuda/emulation/copies.h"

#include <deque>
#include <utility>
#include <vector>

#include "cuda/emulation/grid.h"

namespace densa::emulation {
namespace {

using Group = std::vector<std::function<void()>>;

struct Queue {
  std::uint64_t serial = 0;  // of the block whose thread it is
  std::deque<Group> groups;
  Group open;
};

// One launch runs at a time, and one block of it.
Queue& queue() {
  static auto* const all = new std::vector<Queue>;
  const auto thread = static_cast<std::size_t>(running->linear);
  if (all->size() <= thread) all->resize(thread + 1);
  Queue& mine = (*all)[thread];
  if (mine.serial != running->serial) mine = {running->serial, {}, {}};
  return mine;
}

}  // namespace

void begin_copy(std::function<void()> copy) { queue().open.push_back(std::move(copy)); }
void end_group_of_copies() {
  Queue& mine = queue();
  mine.groups.push_back(std::exchange(mine.open, {}));
}
void wait_for_copies(int groups_left) {
  Queue& mine = queue();
  while (mine.groups.size() > static_cast<std::size_t>(groups_left)) {
    for (const auto& copy : mine.groups.front()) copy();
    mine.groups.pop_front();
  }
}

}  // namespace densa::emulation
