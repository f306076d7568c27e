// Copies into shared memory that a thread began and that are done when it waits for them.
#pragma once
#include <functional>

namespace densa::emulation {

// All three speak of the thread that runs.
void begin_copy(std::function<void()> copy);
void end_group_of_copies();
void wait_for_copies(int groups_left);  // does all but those of the latest groups

}  // namespace densa::emulation
